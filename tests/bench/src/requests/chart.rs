//! What each variant costs over bare Envoy, as a bar chart in SVG.

use std::fmt::Write as _;

use super::measured::{Measured, median};
use super::variants::BASE;

const WIDTH: u32 = 900;
const LABELS: u32 = 430;
/// How far bars may reach; after them there is room for a figure.
const BARS_END: u32 = WIDTH - 110;
const TOP: u32 = 92;
const ROW: u32 = 24;
const BAR: u32 = 16;
const FOOT: u32 = 56;

const PORTCULLIS: &str = "#1b7f5c";
const ENVOY: &str = "#4a74a8";
const SERVICE: &str = "#e08a2e";
const INK: &str = "#1f2328";
const PALE_INK: &str = "#59636e";

/// A bar chart.
#[derive(Debug)]
pub struct Chart(Vec<Bar>);

/// What one variant costs.
#[derive(Debug)]
struct Bar {
    label: String,
    is_portcullis: bool,
    /// Processor time of its Envoy over that of bare Envoy, in microseconds.
    envoy_us: f64,
    /// The same of the service that it asks.
    service_us: f64,
}

impl Chart {
    /// The variants with one worker and with answers as large as bare Envoy's, which is what they are drawn over.
    pub fn of(measured: &Measured) -> Self {
        let bare = measured.bare(1).unwrap_or_default();
        let drawn = measured
            .0
            .iter()
            .filter(|own| own.variant.workers == 1 && own.variant.is_plain() && own.variant.key != BASE);
        let bars = drawn.map(|own| {
            let pairs = own.rounds.iter().zip(bare);
            let envoy_us = median(pairs.map(|(own, bare)| own.envoy_us - bare.envoy_us));
            let service_us = median(own.rounds.iter().map(|round| round.service_us));
            let label = own.variant.label.replace('`', "");
            Bar { label, is_portcullis: own.variant.chain.is_portcullis(), envoy_us, service_us }
        });
        Self(bars.collect())
    }

    /// The picture, with what it was measured on below.
    pub fn svg(&self, machine: &str) -> String {
        let height = TOP + ROW * u32::try_from(self.0.len()).unwrap_or(0) + FOOT;
        let most = self.0.iter().map(Bar::total_us).fold(1.0, f64::max);
        let scale = f64::from(BARS_END - LABELS) / most;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
            height=\"{height}\" font-family=\"system-ui, 'DejaVu Sans', sans-serif\" font-size=\"13\" fill=\"{INK}\">\n\
            <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
        );
        svg += &text(24, 34, "font-size=\"19\" font-weight=\"600\"", "What a request costs over bare Envoy");
        let unit = "Processor time for each request in µs, over Envoy without a filter; one worker; shorter is better";
        svg += &text(24, 56, &format!("fill=\"{PALE_INK}\""), unit);
        svg += &legend();
        let rows = (TOP..).step_by(ROW as usize);
        self.0.iter().zip(rows).for_each(|(bar, top)| svg += &bar.draw(top, scale));
        let small = format!("fill=\"{PALE_INK}\" font-size=\"11\"");
        svg += &text(24, height - 22, &small, machine);
        svg + "</svg>\n"
    }
}

impl Bar {
    fn total_us(&self) -> f64 {
        self.envoy_us + self.service_us
    }

    /// One row. What is below zero is no more than noise, and has no bar.
    fn draw(&self, top: u32, scale: f64) -> String {
        let colour = if self.is_portcullis { PORTCULLIS } else { ENVOY };
        let [envoy, service] = [self.envoy_us, self.service_us].map(|us| us.max(0.0) * scale);
        let (middle, start) = (top + BAR - 3, f64::from(LABELS));
        let mut row = text(LABELS - 10, middle, "text-anchor=\"end\"", &self.label);
        row += &rectangle(start, top, envoy, colour);
        if self.service_us > 0.0 {
            row += &rectangle(start + envoy, top, service, SERVICE);
        }
        let figure = start + envoy + service + 6.0;
        let _ = writeln!(row, "<text x=\"{figure:.1}\" y=\"{middle}\">{:+.1}</text>", self.total_us());
        row
    }
}

fn legend() -> String {
    let entries = [
        (PORTCULLIS, "Envoy with Portcullis"),
        (ENVOY, "Envoy with other filters"),
        (SERVICE, "the service that it asks"),
    ];
    let places = (24..).step_by(200);
    let entry = |((colour, name), x): ((&str, &str), u32)| {
        let mark = format!("<circle cx=\"{}\" cy=\"{}\" r=\"5\" fill=\"{colour}\"/>\n", x + 5, TOP - 20);
        mark + &text(x + 16, TOP - 16, &format!("fill=\"{PALE_INK}\""), name)
    };
    entries.into_iter().zip(places).map(entry).collect()
}

fn rectangle(x: f64, y: u32, width: f64, colour: &str) -> String {
    format!("<rect x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>\n")
}

fn text(x: u32, y: u32, attributes: &str, text: &str) -> String {
    format!("<text x=\"{x}\" y=\"{y}\" {attributes}>{}</text>\n", escaped(text))
}

/// A text as XML has it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::measured::tests::measured;
    use crate::requests::variants::{ALL, EXT_AUTHZ};

    /// The elements of a document, in their order; it panics for one that is not well-formed, as far as this module writes.
    fn elements(svg: &str) -> Vec<&str> {
        let (mut open, mut elements) = (Vec::new(), Vec::new());
        let mut rest = svg;
        while let Some((text, from)) = rest.split_once('<') {
            assert!(!text.contains('>'), "{text}");
            let entities = text.matches('&').count();
            assert_eq!(
                entities,
                ["&amp;", "&lt;", "&gt;"].iter().map(|known| text.matches(known).count()).sum::<usize>()
            );
            let (tag, after) = from.split_once('>').unwrap();
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            let name = tag.split([' ', '/']).find(|word| !word.is_empty()).unwrap();
            if tag.starts_with('/') {
                assert_eq!(open.pop(), Some(name));
            } else {
                elements.push(tag);
                if !tag.ends_with('/') {
                    open.push(name);
                }
            }
            rest = after;
        }
        assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} {rest}");
        elements
    }

    #[test]
    fn each_variant_has_its_bar_in_a_well_formed_picture() {
        let costs = ALL.iter().filter(|variant| variant.workers == 1);
        let costs = costs.map(|variant| (variant.key, [25.0, 26.0].as_slice())).collect::<Vec<_>>();
        let mut measured = measured(&costs);
        let asking = measured.0.iter_mut().find(|own| own.variant.key == EXT_AUTHZ).unwrap();
        asking.rounds.iter_mut().for_each(|round| round.service_us = 30.0);
        let svg = Chart::of(&measured).svg("2 cores <of> R&D");
        let elements = elements(&svg);
        let drawn = ALL.iter().filter(|variant| variant.workers == 1 && variant.is_plain() && variant.key != BASE);
        // The background, and the part of the service, are rectangles too.
        assert_eq!(elements.iter().filter(|tag| tag.starts_with("rect ")).count(), drawn.clone().count() + 2);
        for variant in drawn {
            let label = format!(">{}</text>", escaped(&variant.label.replace('`', "")));
            assert_eq!(svg.matches(&label).count(), 1, "{label}");
        }
        assert!(svg.contains("2 cores &lt;of&gt; R&amp;D"));
        assert!(svg.contains(">+30.0</text>"));
    }
}
