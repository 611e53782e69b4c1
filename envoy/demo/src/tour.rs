//! The tour: what a person can paste into another terminal, one step after the other, to see a key work and stop.
//!
//! The text is made from the settings of the run, so its commands fit other ports and another data directory. It needs
//! `curl` and Python 3, and is the same on the first run and on later ones; only the first shows the operator's token.
//! Its comments have no apostrophes: a shell that knows no comments at its prompt would take one for an open quote.

use std::fmt::Write;
use std::path::Path;

use crate::ports::reachable;
use crate::seed::ADMIN;
use crate::settings::Settings;

/// Where the operator's token of this run comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// `PORTCULLIS_BOOTSTRAP_TOKEN`; it is written nowhere.
    Environment,
    /// A file of an earlier run.
    Kept,
    /// Generated now, and shown once.
    Generated(String),
}

/// What the tour is made from.
#[derive(Debug)]
pub struct Tour<'a> {
    /// The settings of the run.
    pub settings: &'a Settings,
    /// The file with the operator's token.
    pub token_file: &'a Path,
    /// Where the token comes from.
    pub token: TokenSource,
    /// The file with the password of whoever signs in to the console, if there is one.
    pub password_file: Option<&'a Path>,
    /// The id of the organization `acme`.
    pub organization: &'a str,
    /// Where the logs are.
    pub log_dir: &'a Path,
}

impl Tour<'_> {
    /// The whole text.
    pub fn text(&self) -> String {
        let steps = [
            self.serverless(),
            self.streaming_and_python(),
            self.dedicated(),
            self.limited(),
            self.used(),
            self.ending(),
        ];
        [self.places(), self.token()].into_iter().chain(steps).collect::<Vec<_>>().join("\n")
    }

    fn envoy(&self) -> String {
        format!("http://{}", self.settings.envoy)
    }

    fn admin(&self) -> String {
        format!("http://{}", reachable(self.settings.listen))
    }

    fn places(&self) -> String {
        format!(
            "\
Portcullis is running.

  callers           {envoy}
  console           {admin}   ({sign_in})
  admin API         {admin}/v1   (to read at {admin}/docs)
  Envoy's admin     http://{envoy_admin}
  sample upstream   http://{upstream}
  data              {data}
  logs              {logs}
",
            envoy = self.envoy(),
            admin = self.admin(),
            sign_in = self.sign_in(),
            envoy_admin = self.settings.envoy_admin,
            upstream = self.settings.upstream,
            data = self.settings.data_dir.display(),
            logs = self.log_dir.display(),
        )
    }

    fn sign_in(&self) -> String {
        match self.password_file {
            Some(file) => format!("sign in as {ADMIN}; the password is in {}", file.display()),
            None => "sign in with a password of yours, or with the operator's token".to_owned(),
        }
    }

    fn token(&self) -> String {
        let mut text = String::new();
        let file = quoted(&self.token_file.display().to_string());
        if let TokenSource::Generated(token) = &self.token {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "The operator's token was made for you and is kept in {file}:\n\n  {token}\n");
        }
        text.push_str("A tour, to paste into another terminal in this directory:\n\n# 1. The token of the operator.\n");
        match self.token {
            TokenSource::Environment => {
                text.push_str("TOKEN=${PORTCULLIS_BOOTSTRAP_TOKEN:?set it to what you started make run with}\n");
            }
            TokenSource::Kept | TokenSource::Generated(_) => {
                let _ = writeln!(text, "TOKEN=$(cat {file})");
            }
        }
        text
    }

    fn serverless(&self) -> String {
        let issue = self.issue(r#""kind": "serverless", "name": "tour""#);
        format!(
            r#"# 2. Issue a key for the shared API. The secret is in this one answer and nowhere else.
ISSUED=$({issue})
export KEY=$({key})
ID=$({id})

# 3. Call with it, and without one (401).
curl -sS {envoy}/v1/chat/completions -H "Authorization: Bearer $KEY" -d '{body}'; echo
curl -sS -i {envoy}/v1/chat/completions -d '{body}'; echo
"#,
            key = extract("key"),
            id = extract("id"),
            envoy = self.envoy(),
            body = chat(""),
        )
    }

    fn streaming_and_python(&self) -> String {
        format!(
            r#"# 4. The same as a stream.
curl -sS -N {envoy}/v1/chat/completions -H "Authorization: Bearer $KEY" -d '{body}'

# 5. The official OpenAI client, if you have it (pip install openai).
python3 - <<'PYTHON'
import os
try:
    from openai import OpenAI
except ImportError:
    raise SystemExit("skipped: pip install openai")
client = OpenAI(base_url="{envoy}/v1", api_key=os.environ["KEY"])
answer = client.chat.completions.create(model="echo", messages=[{{"role": "user", "content": "Hello, gate!"}}])
print(answer.choices[0].message.content)
PYTHON
"#,
            envoy = self.envoy(),
            body = chat(r#""stream": true, "stream_options": {"include_usage": true}, "#),
        )
    }

    fn dedicated(&self) -> String {
        let issue = self.issue(r#""kind": "dedicated", "name": "tour", "rate_limit_enabled": true"#);
        format!(
            r#"# 6. A dedicated key opens the API that acme owns, and no other (403).
DEDICATED=$({issue} | {extract})
curl -sS {envoy}/dedicated/v1/chat/completions -H "Authorization: Bearer $DEDICATED" -d '{body}'; echo
curl -sS {envoy}/v1/chat/completions -H "Authorization: Bearer $DEDICATED" -d '{body}'; echo
"#,
            extract = python("key"),
            envoy = self.envoy(),
            body = chat(""),
        )
    }

    fn limited(&self) -> String {
        format!(
            r#"# 7. That API allows 60 requests a minute, and this key is held to it: see in the headers what is left (RateLimit), and
#    call until a call is refused (429). One more passes each second: Retry-After says when.
curl -sS -i {envoy}/dedicated/v1/models -H "Authorization: Bearer $DEDICATED"; echo
for CALL in $(seq 200); do
  ANSWER=$(curl -sS -i {envoy}/dedicated/v1/models -H "Authorization: Bearer $DEDICATED")
  case "$ANSWER" in *" 429 "*) break;; esac
done; echo "$ANSWER"
"#,
            envoy = self.envoy(),
        )
    }

    fn used(&self) -> String {
        format!(
            r#"# 8. What was used this month, by key and by how the calls ended, and what it costs. Workers report every five seconds.
sleep 6; curl -sS "{admin}/v1/usage?group_by=key,api" -H "Authorization: Bearer $TOKEN" | python3 -m json.tool --no-ensure-ascii
curl -sS "{admin}/v1/usage?group_by=outcome" -H "Authorization: Bearer $TOKEN" -H "Accept: text/csv"
"#,
            admin = self.admin(),
        )
    }

    fn ending(&self) -> String {
        format!(
            r#"# 9. List the keys, delete the first one, and call again (401). The propagation in the answer is its receipt: every
#    worker of this Envoy has applied it. Each of its threads has one, and the main thread has one more.
curl -sS {admin}/v1/keys -H "Authorization: Bearer $TOKEN" | python3 -m json.tool --no-ensure-ascii
curl -sS -X DELETE {admin}/v1/keys/$ID -H "Authorization: Bearer $TOKEN" | python3 -m json.tool --no-ensure-ascii
curl -sS -i {envoy}/v1/chat/completions -H "Authorization: Bearer $KEY" -d '{body}'; echo

# 10. What the filter counted, for Prometheus. It publishes once a second.
sleep 2; curl -sS http://{envoy_admin}/stats/prometheus | grep '^portcullis_'

# That was the tour. Ctrl-C in the first terminal stops everything."#,
            admin = self.admin(),
            envoy = self.envoy(),
            envoy_admin = self.settings.envoy_admin,
            body = chat(""),
        )
    }

    fn issue(&self, fields: &str) -> String {
        format!(
            r#"curl -sS {admin}/v1/keys -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '{{{fields}, "organization": "{organization}"}}'"#,
            admin = self.admin(),
            organization = self.organization,
        )
    }
}

fn chat(options: &str) -> String {
    format!(r#"{{"model": "echo", {options}"messages": [{{"role": "user", "content": "Hello, gate!"}}]}}"#)
}

/// A shell command that takes `field` out of `$ISSUED`.
fn extract(field: &str) -> String {
    format!(r#"printf %s "$ISSUED" | {}"#, python(field))
}

/// A shell command that takes `field` out of the JSON that it reads.
fn python(field: &str) -> String {
    format!(r#"python3 -c 'import json, sys; print(json.load(sys.stdin)["{field}"])'"#)
}

/// A word of the shell: as it is where that is safe, else in single quotes.
fn quoted(word: &str) -> String {
    let safe = |character: char| character.is_ascii_alphanumeric() || "/._-".contains(character);
    if !word.is_empty() && word.chars().all(safe) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(pairs: &[(&str, &str)], token: TokenSource) -> String {
        let settings =
            Settings::read(|name| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.to_owned())).unwrap();
        let token_file = settings.data_dir.join("demo/operator-token");
        let log_dir = settings.data_dir.join("log");
        let tour = Tour {
            settings: &settings,
            token_file: &token_file,
            token,
            password_file: None,
            organization: "org_1",
            log_dir: &log_dir,
        };
        tour.text()
    }

    #[test]
    fn the_commands_follow_the_settings() {
        let pairs = [
            ("ENVOY_PORT", "20000"),
            ("ENVOY_ADMIN_PORT", "20001"),
            ("PORTCULLIS_LISTEN", "0.0.0.0:20002"),
            ("PORTCULLIS_DATA_DIR", "/tmp/my data"),
        ];
        let text = text(&pairs, TokenSource::Kept);
        for default in [":10000", ":9901", ":8080", "./data"] {
            assert!(!text.contains(default), "{default} in {text}");
        }
        assert!(text.contains("TOKEN=$(cat '/tmp/my data/demo/operator-token')"), "{text}");
        assert!(text.contains("http://127.0.0.1:20002/v1/keys"), "{text}");
        assert!(text.contains("http://127.0.0.1:20001/stats/prometheus"), "{text}");
    }

    #[test]
    fn a_token_is_shown_only_when_it_is_new() {
        assert!(text(&[], TokenSource::Generated("s3cret".to_owned())).contains("s3cret"));
        assert!(!text(&[], TokenSource::Kept).contains("made for you"));
        assert!(text(&[], TokenSource::Environment).contains("TOKEN=${PORTCULLIS_BOOTSTRAP_TOKEN:?"));
    }

    #[test]
    fn it_says_how_to_sign_in_to_the_console() {
        let settings = Settings::read(|_| None).unwrap();
        let file = Path::new("data/demo/console-password");
        let tour = |password_file| {
            Tour {
                settings: &settings,
                token_file: file,
                token: TokenSource::Kept,
                password_file,
                organization: "o",
                log_dir: file,
            }
            .text()
        };
        assert!(tour(Some(file)).contains("sign in as ada; the password is in data/demo/console-password"));
        assert!(tour(None).contains("with the operator's token"));
    }

    #[test]
    fn no_comment_opens_a_quote() {
        for token in [TokenSource::Kept, TokenSource::Environment] {
            let text = text(&[], token);
            let mut comments = text.lines().filter(|line| line.starts_with('#'));
            assert!(comments.all(|comment| !comment.contains(['\'', '"', '`'])), "{text}");
        }
    }

    #[test]
    fn every_json_body_is_json() {
        let text = text(&[], TokenSource::Kept);
        let bodies: Vec<&str> = text.split("-d '").skip(1).filter_map(|rest| rest.split('\'').next()).collect();
        assert_eq!(bodies.len(), 8);
        for body in bodies {
            serde_json::from_str::<serde_json::Value>(body).unwrap_or_else(|error| panic!("{body}: {error}"));
        }
    }
}
