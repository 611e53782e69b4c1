//! Responses as the APIs write them, and the edges of what counts. What holds of all input is in `laws`.

use super::*;

mod laws;

const JSON: &[u8] = b"application/json";
const EVENTS: &[u8] = b"text/event-stream";

fn usage_of(content_type: &[u8], body: &[u8]) -> Usage {
    let mut reader = Reader::for_content_type(content_type, None).unwrap();
    reader.feed(body);
    reader.finish()
}

fn json(body: &str) -> Usage {
    usage_of(JSON, body.as_bytes())
}

fn events(body: &str) -> Usage {
    usage_of(EVENTS, body.as_bytes())
}

fn read(prompt: u64, completion: u64, total: u64) -> Usage {
    Usage::Read(Tokens { prompt, completion, total })
}

fn estimated(prompt: u64, completion: u64) -> Usage {
    Usage::Estimated { prompt, completion }
}

#[test]
fn json_and_event_streams_are_read_unless_they_are_compressed() {
    let reader = |content_type: &str, encoding: Option<&str>| {
        Reader::for_content_type(content_type.as_bytes(), encoding.map(str::as_bytes))
    };
    let kind = |content_type: &str, encoding: Option<&str>| {
        let reader = reader(content_type, encoding).filter(Reader::can_read)?;
        Some(matches!(reader.finish(), Usage::Estimated { .. }))
    };
    for json in
        ["application/json", "Application/JSON ; charset=utf-8", "application/problem+json", "application/a+JSON"]
    {
        assert_eq!(kind(json, None), Some(false), "{json}");
    }
    for events in ["text/event-stream", " TEXT/event-stream;charset=UTF-8"] {
        assert_eq!(kind(events, Some(" Identity ")), Some(true), "{events}");
    }
    for other in ["", "text/plain", "application/jsonl", "application/x-ndjson", "text/json", "json", "application/"] {
        assert!(reader(other, None).is_none(), "{other}");
        assert!(reader(other, Some("gzip")).is_none(), "{other}");
    }
    for encoding in ["gzip", "br", "identity, gzip", "x"] {
        for content_type in ["application/json", "text/event-stream"] {
            let mut reader = reader(content_type, Some(encoding)).unwrap();
            assert!(!reader.can_read(), "{encoding}");
            reader.feed(br#"{"usage":{"total_tokens":1}}"#);
            assert_eq!(reader.finish(), Usage::Unknown, "{encoding}");
        }
    }
    assert_eq!(kind("application/json", Some("")), Some(false));
}

#[test]
fn a_document_states_its_usage() {
    let chat = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1741569952,"model":"m","choices":[{"index":0,
        "message":{"role":"assistant","content":"Say \"usage\": {\"total_tokens\": 1}","annotations":[]},
        "logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,
        "prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},
        "completion_tokens_details":{"reasoning_tokens":7,"total_tokens":99}},"service_tier":"default"}"#;
    assert_eq!(json(chat), read(19, 10, 29));
    let responses = r#"{"object":"response","output":[{"content":[{"text":"hi"}]}],"usage":{"input_tokens":36,
        "input_tokens_details":{"cached_tokens":0},"output_tokens":87,"total_tokens":123},"metadata":{}}"#;
    assert_eq!(json(responses), read(36, 87, 123));
    let embeddings = r#"{"object":"list","data":[{"embedding":[-0.01,2e-3],"index":0}],
        "usage":{"prompt_tokens":8,"total_tokens":8}}"#;
    assert_eq!(json(embeddings), read(8, 0, 8));
    let vllm =
        r#"{"usage":{"prompt_tokens":8,"total_tokens":8,"completion_tokens":null,"prompt_tokens_details":null}}"#;
    assert_eq!(json(vllm), read(8, 0, 8));
    let anthropic = r#"{"type":"message","content":[{"type":"text","text":"hi"}],"usage":{"input_tokens":3,
        "cache_creation_input_tokens":20,"cache_read_input_tokens":1000,"output_tokens":5,"service_tier":"standard"}}"#;
    assert_eq!(json(anthropic), read(1023, 5, 1028));
    let both = r#"{"usage":{"input_tokens":1,"cache_read_input_tokens":9,"total_tokens":5,"prompt_tokens":2}}"#;
    assert_eq!(json(both), read(2, 0, 5));
    let cached = r#"{"usage":{"input_tokens":10,"cache_read_input_tokens":9,"output_tokens":1,"total_tokens":11}}"#;
    assert_eq!(json(cached), read(10, 1, 11));
}

#[test]
fn what_states_no_usage_is_unknown() {
    for body in [
        "",
        "null",
        r#""usage""#,
        r#"[{"usage":{"total_tokens":5}}]"#,
        r#"{"object":"list","data":[{"id":"gpt-4o","object":"model"}]}"#,
        r#"{"usage":null}"#,
        r#"{"usage":{}}"#,
        r#"{"usage":[{"total_tokens":5}]}"#,
        r#"{"usage":{"type":"duration","seconds":9}}"#,
        r#"{"usage":{"cache_read_input_tokens":9}}"#,
        r#"{"usage":{"prompt_tokens_details":{"total_tokens":5}}}"#,
        r#"{"error":{"usage":{"total_tokens":5}}}"#,
        r#"{"response":{"metadata":{"usage":{"total_tokens":5}}}}"#,
        r#"{"response":{"response":{"usage":{"total_tokens":5}}}}"#,
        // Only a stream has a message that says what is to come.
        r#"{"message":{"usage":{"total_tokens":5}}}"#,
        r#"{"Usage":{"total_tokens":5}}"#,
        r#"{"usage":{"total_tokens":5"#,
    ] {
        assert_eq!(json(body), Usage::Unknown, "{body}");
    }
}

#[test]
fn what_is_no_number_of_tokens_makes_the_whole_no_usage() {
    for value in
        ["-1", "-0", "1.5", "1.0", "1e3", "true", "\"5\"", "[5]", "{}", "1000000000001", "99999999999999999999"]
    {
        let body = format!(r#"{{"usage":{{"prompt_tokens":1,"completion_tokens":{value}}}}}"#);
        assert_eq!(json(&body), Usage::Unknown, "{value}");
    }
    let most = r#"{"usage":{"prompt_tokens":1000000000000,"completion_tokens":1000000000000}}"#;
    assert_eq!(json(most), read(TOKENS_MAX, TOKENS_MAX, 2 * TOKENS_MAX));
}

#[test]
fn the_last_of_equal_names_holds() {
    assert_eq!(json(r#"{"usage":{"total_tokens":1},"usage":{"prompt_tokens":2}}"#), read(2, 0, 2));
    assert_eq!(json(r#"{"usage":{"total_tokens":1},"usage":null}"#), Usage::Unknown);
    assert_eq!(json(r#"{"usage":{"total_tokens":"1","total_tokens":2}}"#), read(0, 0, 2));
    assert_eq!(json(r#"{"usage":{"total_tokens":1,"total_tokens":"2"}}"#), Usage::Unknown);
    assert_eq!(json(r#"{"response":{"usage":{"total_tokens":1}},"response":{}}"#), Usage::Unknown);
    // The names differ here: the document speaks for itself first.
    assert_eq!(json(r#"{"usage":{"total_tokens":1},"response":{"usage":{"total_tokens":2}}}"#), read(0, 0, 1));
}

#[test]
fn an_escaped_name_is_that_name() {
    assert_eq!(json(r#"{"us\u0061ge":{"total\u005Ftokens":5}}"#), read(0, 0, 5));
    for other in [r"us\u0161ge", r"us\\u0061ge", r"usage\n", r"\/usage", r"us\u61ge"] {
        let body = format!(r#"{{"{other}":{{"total_tokens":5}}}}"#);
        assert_eq!(json(&body), Usage::Unknown, "{other}");
    }
}

#[test]
fn depth_costs_nothing() {
    let depth = 1_000_000;
    let body = format!(
        r#"{{"a":{}"usage":{}{},"usage":{{"total_tokens":5}}}}"#,
        r#"{"usage":["#.repeat(depth) + "{",
        r#"{"total_tokens":1}"#,
        "}".to_owned() + &"]}".repeat(depth),
    );
    assert_eq!(json(&body), read(0, 0, 5));
    assert!(size_of::<Reader>() <= 448, "{}", size_of::<Reader>());
    assert!(!std::mem::needs_drop::<Reader>(), "it owns memory");
}

#[test]
fn a_stream_states_its_usage_at_the_end() {
    let chunk = r#"data: {"object":"chat.completion.chunk","choices":[{"delta":{"content":"a"}}],"usage":null}"#;
    let last = r#"data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21}}"#;
    assert_eq!(events(&format!("{chunk}\n\n{chunk}\n\n{last}\n\ndata: [DONE]\n\n")), read(9, 12, 21));
    // Azure: what its filter found comes first. xAI: an event without choices follows.
    let filtered = r#"data: {"choices":[],"prompt_filter_results":[{"prompt_index":0}]}"#;
    assert_eq!(events(&format!("{filtered}\r\n\r\n{last}\r\n\r\n{chunk}\r\n\r\n")), read(9, 12, 21));
    assert_eq!(events(&format!("{filtered}\n\n{chunk}\n\ndata: [DONE]\n\n")), estimated(0, 2));
    // vLLM with continuous_usage_stats.
    let so_far = |n: u64| format!("data: {{\"usage\":{{\"prompt_tokens\":5,\"total_tokens\":{}}}}}\n\n", 5 + n);
    assert_eq!(events(&(so_far(1) + &so_far(2) + "data: {\"usage\":{\"prompt_tok")), read(5, 0, 7));
}

#[test]
fn a_stream_of_the_responses_api_states_it_in_its_response() {
    let stream = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"usage\":null}}\n\n\
        event: response.output_text.delta\ndata: {\"delta\":\"response.completed usage\"}\n\n\
        event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"output\":[{\"usage\":1}],\
        \"usage\":{\"input_tokens\":37,\"output_tokens\":11,\"output_tokens_details\":{\"reasoning_tokens\":0},\
        \"total_tokens\":48},\"user\":null,\"metadata\":{\"usage\":\"\"}}}\n\n";
    assert_eq!(events(stream), read(37, 11, 48));
    assert_eq!(events(stream.split("event: response.completed").next().unwrap()), estimated(0, 2));
}

#[test]
fn a_stream_of_anthropic_states_the_prompt_first() {
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[],\
        \"usage\":{\"input_tokens\":25,\"cache_read_input_tokens\":100,\"output_tokens\":1}}}\n\n";
    let delta = "event: content_block_delta\ndata: {\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n";
    let end =
        "event: message_delta\ndata: {\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":15}}\n\n";
    assert_eq!(events(&[start, delta, end].concat()), read(125, 15, 140));
    // Its one token so far is not what the stream used.
    assert_eq!(events(&[start, delta, delta].concat()), estimated(125, 3));
    let cumulative = end.replace("{\"output", "{\"input_tokens\":472,\"output");
    assert_eq!(events(&[start, delta, &cumulative].concat()), read(472, 15, 487));
}

#[test]
fn a_stream_that_breaks_off_is_estimated_until_its_usage_is_complete() {
    let chunk = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    let stream = chunk.repeat(3) + ": ping\n\ndata: {\"usage\":{\"total_tokens\":70}}\n\ndata: [DONE]\n\n";
    let stated = stream.find("70}").unwrap() + "70}".len();
    for at in 0..=stream.len() {
        let (stream, _) = stream.split_at(at);
        let objects = stream.matches("data: {").count() as u64;
        let expected = if at < stated { estimated(0, objects) } else { read(0, 0, 70) };
        assert_eq!(events(stream), expected, "{stream}");
    }
}

#[test]
fn lines_are_cut_as_browsers_do() {
    for (stream, objects) in [
        ("", 0),
        ("data:{}", 1),
        ("\u{feff}data:{}\r\rdata: {}\r\ndata:\r\n\r\ndata: [DONE]\n\n", 2),
        // The mark stands at the very start alone.
        ("\n\u{feff}data:{}\n\n", 0),
        ("\u{feff}\u{feff}data:{}\n\n", 0),
        // One event, whose data is `{` and `}`.
        ("data:{\nid:1\ndata\n: data:{}\ndata:}\n\n", 1),
        ("data:{}\r\n\rdata:{}\r\r\ndata:{}", 3),
        (": data:{}\n\n", 0),
        (" data:{}\n\nDATA:{}\n\ndat:{}\n\ndatas:{}\n\ndata :{}\n\ndata{:{}\n\n", 0),
        ("data:\n\ndata\n\n\n\ndata:[{}]\n\ndata:\"{}\"\n\n", 0),
    ] {
        assert_eq!(events(stream), estimated(0, objects), "{stream:?}");
    }
    // A part of a mark is none, but the name of some other field.
    assert_eq!(usage_of(EVENTS, b"\xef\xbbdata:{}\n\n"), estimated(0, 0));
    assert_eq!(usage_of(EVENTS, b"\xef\xbb\ndata:{}\n\n"), estimated(0, 1));
    assert_eq!(events("data: {\"usage\":\ndata:{\"total_tokens\" :\r\ndata: 5}\rdata: }\n\n"), read(0, 0, 5));
    // The lines are joined by what ends a number.
    assert_eq!(events("data: {\"usage\":{\"total_tokens\":1\ndata:2}}\n\n"), estimated(0, 1));
}

#[test]
fn usage_has_two_parts_and_a_bare_total_is_the_prompts() {
    assert_eq!(read(3, 4, 9).parts(), (3, 4));
    assert_eq!(read(0, 0, 9).parts(), (9, 0));
    assert_eq!(read(0, 4, 9).parts(), (0, 4));
    assert_eq!(estimated(2, 5).parts(), (2, 5));
    assert_eq!(Usage::Unknown.parts(), (0, 0));
}
