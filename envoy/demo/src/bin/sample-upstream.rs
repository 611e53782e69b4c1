//! The sample upstream by itself, for containers. See `portcullis_demo::upstream`.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use portcullis_demo::stack::SampleUpstream;
use portcullis_demo::terminal::{complain, say};
use tokio::signal::unix::{SignalKind, signal};

/// A model API in OpenAI's shape that answers with what it was asked
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match serve(cli.listen).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("sample-upstream: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn serve(listen: SocketAddr) -> Result<(), Box<dyn std::error::Error>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let upstream = SampleUpstream::start(listen).await?;
    say(&format!("The sample upstream listens on {}.", upstream.address()));
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    upstream.stop().await;
    Ok(())
}
