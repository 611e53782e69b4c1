//! What holds of every body. Documents are made up as text, so that names repeat, are escaped and stand anywhere; what
//! they say is asked of `serde_json`, and a stream is cut up by an oracle that sees it as a whole.

use super::*;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

/// A document before it is written down.
#[derive(Debug, Clone)]
enum Node {
    /// A number, literal or string, as it is written.
    Scalar(String),
    Array(Vec<Node>),
    /// Names are written with their quotation marks.
    Object(Vec<(String, Node)>),
}

const COUNTS: [&str; 7] = [
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
];
const BAIT: &str = r#""usage":{"total_tokens":666},"\"#;

/// A string or name: as it is, or with some of its characters escaped.
fn written(text: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (text, any::<u64>(), any::<bool>()).prop_map(|(text, escaped, is_plain)| {
        if is_plain {
            return serde_json::to_string(&text).unwrap();
        }
        let escape = |(place, unit): (usize, u16)| match char::from_u32(unit.into()) {
            Some(plain) if plain.is_ascii_alphanumeric() && escaped >> (place % 64) & 1 == 0 => plain.to_string(),
            Some(_) | None => format!("\\u{unit:04x}"),
        };
        format!("\"{}\"", text.encode_utf16().enumerate().map(escape).collect::<String>())
    })
}

fn name() -> impl Strategy<Value = String> {
    let names = prop::sample::select(["usage", "response", "message"].into_iter().chain(COUNTS).collect::<Vec<_>>());
    let near = prop::sample::select(vec!["usag", "usages", "Usage", "usage\n", "usage\"", "\u{feff}usage", "", BAIT]);
    written(prop_oneof![4 => names.prop_map(str::to_owned), 1 => near.prop_map(str::to_owned), 1 => any::<String>()])
}

fn number() -> impl Strategy<Value = String> {
    let odd = ["-1", "1.5", "1e3", "1E+2", "-0.0", "1000000000000", "1000000000001", "18446744073709551616", "1e-400"];
    prop_oneof![
        8 => (0_u64..5_000).prop_map(|number| number.to_string()),
        1 => any::<u64>().prop_map(|number| number.to_string()),
        1 => prop::sample::select(odd.to_vec()).prop_map(str::to_owned),
    ]
}

fn scalar() -> impl Strategy<Value = Node> {
    let literal = prop::sample::select(vec!["true", "false", "null"]).prop_map(str::to_owned);
    let text = prop_oneof![any::<String>(), Just(BAIT.to_owned()), Just("}]\\".to_owned())];
    prop_oneof![number(), literal, written(text)].prop_map(Node::Scalar)
}

/// What usage objects look like, and nearly do.
fn stated() -> impl Strategy<Value = Node> {
    let count = written(prop::sample::select(COUNTS.to_vec()).prop_map(str::to_owned));
    let member = prop_oneof![
        12 => (count, number().prop_map(Node::Scalar)),
        1 => (name(), node()),
    ];
    prop_oneof![
        6 => prop::collection::vec(member, 0..5).prop_map(Node::Object),
        1 => node(),
    ]
}

fn node() -> impl Strategy<Value = Node> {
    scalar().prop_recursive(6, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Node::Array),
            prop::collection::vec((name(), inner), 0..4).prop_map(Node::Object),
        ]
    })
}

/// A document, most often an object with usage somewhere.
fn document() -> impl Strategy<Value = String> {
    let usage = || (written(Just("usage".to_owned())), stated());
    let holder = (
        written(prop::sample::select(vec!["response", "message"]).prop_map(str::to_owned)),
        prop::collection::vec(prop_oneof![3 => usage(), 1 => (name(), node())], 0..3).prop_map(Node::Object),
    );
    let object = prop::collection::vec(prop_oneof![usage(), holder, (name(), node())], 0..5).prop_map(Node::Object);
    let spaces = prop::collection::vec(prop::sample::select(vec!["", "", "", " ", "\n", "\t", "\r\n", "\n \n"]), 1..20);
    (prop_oneof![6 => object, 1 => node()], spaces).prop_map(|(node, spaces)| {
        let mut text = String::new();
        write(&node, &mut spaces.into_iter().cycle(), &mut text);
        text
    })
}

fn write<'s>(node: &Node, spaces: &mut impl Iterator<Item = &'s str>, text: &mut String) {
    let mut space = |text: &mut String| text.extend(spaces.next());
    space(text);
    let (open, close, members) = match node {
        Node::Scalar(scalar) => {
            text.push_str(scalar);
            return space(text);
        }
        Node::Array(nodes) => ('[', ']', nodes.iter().map(|node| (None, node)).collect::<Vec<_>>()),
        Node::Object(members) => ('{', '}', members.iter().map(|(name, node)| (Some(name), node)).collect()),
    };
    text.push(open);
    for (place, (name, node)) in members.into_iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        if let Some(name) = name {
            text.extend(spaces.next());
            text.push_str(name);
            text.extend(spaces.next());
            text.push(':');
        }
        write(node, spaces, text);
    }
    text.extend(spaces.next());
    text.push(close);
    text.extend(spaces.next());
}

/// Prompt, completion and total of a usage object.
type Statement = (Option<u64>, Option<u64>, Option<u64>);

fn statement(holder: &Value) -> Option<Statement> {
    let usage = holder.as_object()?.get("usage")?.as_object()?;
    let mut numbers = std::collections::BTreeMap::new();
    for name in COUNTS {
        match usage.get(name) {
            None | Some(Value::Null) => {}
            Some(value) => drop(numbers.insert(name, value.as_u64().filter(|number| *number <= 1_000_000_000_000)?)),
        }
    }
    let get = |name| numbers.get(name).copied();
    let total = get("total_tokens");
    let mut input = get("input_tokens");
    if let (Some(input), None) = (&mut input, total) {
        *input += get("cache_creation_input_tokens").unwrap_or(0) + get("cache_read_input_tokens").unwrap_or(0);
    }
    let prompt = get("prompt_tokens").or(input);
    let completion = get("completion_tokens").or(get("output_tokens"));
    (prompt.is_some() || completion.is_some() || total.is_some()).then_some((prompt, completion, total))
}

fn statement_of_document(value: &Value) -> Option<Statement> {
    statement(value).or_else(|| statement(value.get("response")?))
}

fn tokens((prompt, completion, total): Statement) -> Usage {
    let (prompt, completion) = (prompt.unwrap_or(0), completion.unwrap_or(0));
    read(prompt, completion, total.unwrap_or(prompt + completion))
}

/// What a stream used, by its whole text.
fn usage_of_stream(text: &str) -> Usage {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    let mut documents = Vec::new();
    for event in text.split("\n\n") {
        let fields = event.lines().map(|line| line.split_once(':').unwrap_or((line, "")));
        let data =
            fields.filter(|(name, _)| *name == "data").map(|(_, value)| value.strip_prefix(' ').unwrap_or(value));
        documents.extend(serde_json::from_str::<Value>(&data.collect::<Vec<_>>().join("\n")));
    }
    let last_prompt = documents.iter().rev().find_map(|document| statement(document.get("message")?)?.0);
    match documents.iter().rev().find_map(statement_of_document) {
        Some((prompt, completion, total)) => tokens((prompt.or(last_prompt), completion, total)),
        None => {
            let objects = documents.iter().filter(|document| document.is_object()).count();
            estimated(last_prompt.unwrap_or(0), objects as u64)
        }
    }
}

/// The lines of one event, each without its end.
fn event() -> impl Strategy<Value = Vec<String>> {
    let noise = prop::sample::select(vec![
        ": data:{}",
        ":",
        "event: x",
        "id: 1",
        "retry",
        "data",
        "data:",
        "data: ",
        " data:{}",
        "dat:{}",
        "datax: {}",
        "DATA:{}",
    ]);
    let data = prop_oneof![
        8 => document(),
        1 => prop::sample::select(vec!["[DONE]", "{}", "", "text", "[]"]).prop_map(str::to_owned),
    ];
    (data, any::<bool>(), prop::collection::vec((noise, any::<Index>()), 0..4)).prop_map(|(data, has_space, noise)| {
        let field = if has_space { "data: " } else { "data:" };
        let mut lines = data.lines().map(|line| format!("{field}{line}")).collect::<Vec<_>>();
        for (line, place) in noise {
            lines.insert(place.index(lines.len() + 1), line.to_owned());
        }
        lines
    })
}

/// A stream of events, some without the blank line that would end the last one.
fn stream() -> impl Strategy<Value = String> {
    let ends = prop::collection::vec(prop::sample::select(vec!["\n", "\r", "\r\n"]), 1..10);
    let events = prop::collection::vec((event(), 1_usize..4), 0..5);
    (events, ends, any::<bool>(), any::<bool>()).prop_map(|(events, ends, has_mark, is_whole)| {
        let mut ends = ends.into_iter().cycle();
        // Around blank lines there is but one kind: a return and a feed that are to end two lines would end one.
        let uniform = ends.next().unwrap();
        let mut text = if has_mark { "\u{feff}".to_owned() } else { String::new() };
        for (lines, blanks) in events {
            for (place, line) in lines.iter().enumerate() {
                let is_last = place + 1 == lines.len();
                text.push_str(line);
                text.push_str(if is_last { uniform } else { ends.next().unwrap() });
            }
            text.push_str(&uniform.repeat(blanks));
        }
        let end = if is_whole { text.len() } else { text.trim_end_matches(['\r', '\n']).len() };
        text.truncate(end);
        text
    })
}

/// Pieces of what the reader knows, in no order.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        "\"",
        "\\",
        ":",
        ",",
        " ",
        "\n",
        "\r",
        "data",
        "data:",
        "usage",
        "\"usage\":{",
        "response",
        "\"response\":{",
        "\"message\":{",
        "\"total_tokens\":",
        "prompt_tokens",
        "12",
        "-",
        ".",
        "e",
        "null",
        "\\u0061",
        "\\u00",
        "\u{feff}",
        "Y",
        "_",
        "{\"",
        "\":",
    ];
    let piece = prop_oneof![
        20 => prop::sample::select(pieces.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..10),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// Wherever a body is cut in two it says the same, and byte by byte too; what it says after the first part is what it
/// says when it breaks off there.
fn assert_borders_are_no_matter(content_type: &[u8], body: &[u8]) {
    let fresh = || Reader::for_content_type(content_type, None).unwrap();
    let whole = usage_of(content_type, body);
    let mut bytewise = fresh();
    for at in 0..=body.len() {
        let (before, after) = body.split_at(at);
        let mut halves = fresh();
        halves.feed(before);
        assert_eq!(halves.clone().finish(), bytewise.clone().finish(), "broken off at {at}");
        halves.feed(after);
        assert_eq!(halves.finish(), whole, "cut at {at}");
        bytewise.feed(after.get(..1).unwrap_or_default());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn a_document_says_what_serde_json_reads_in_it(text in document()) {
        let value = serde_json::from_str::<Value>(&text).unwrap();
        let expected = statement_of_document(&value).map_or(Usage::Unknown, tokens);
        prop_assert_eq!(json(&text), expected);
    }

    #[test]
    fn a_stream_says_what_the_whole_text_does(text in stream()) {
        prop_assert_eq!(events(&text), usage_of_stream(&text));
    }

    #[test]
    fn usage_counts_from_its_last_byte_on(before in node(), after in node(), cut in any::<Index>()) {
        let text = |node| { let mut text = String::new(); write(node, &mut std::iter::empty(), &mut text); text };
        let head = format!(r#"{{"before":{},"usage":{{"total_tokens":7}}"#, text(&before));
        let body = format!(r#"{head},"after":{}}}"#, text(&after));
        let at = cut.index(body.len() + 1);
        let expected = if at < head.len() { Usage::Unknown } else { read(0, 0, 7) };
        prop_assert_eq!(usage_of(JSON, &body.as_bytes()[..at]), expected);
    }
}

// Each of these reads a body as often as it has bytes.
proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn chunks_of_a_document_may_end_anywhere(text in document()) {
        assert_borders_are_no_matter(JSON, text.as_bytes());
    }

    #[test]
    fn chunks_of_a_stream_may_end_anywhere(text in stream()) {
        assert_borders_are_no_matter(EVENTS, text.as_bytes());
    }

    #[test]
    fn whatever_comes_is_read_in_one_way(body in soup(), prefix in prop::sample::select(vec!["", "{", "data:{"])) {
        let body = [prefix.as_bytes(), &body].concat();
        assert_borders_are_no_matter(JSON, &body);
        assert_borders_are_no_matter(EVENTS, &body);
    }
}
