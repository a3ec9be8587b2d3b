//! Pictures as SVG: bars, and curves over logarithmic axes. They take their colours from what is around them.

use std::fmt::Write as _;

use crate::part::Point;

const STYLE: &str = "<style>text{font:13px sans-serif;fill:#24292f}.h{font-weight:600}.b{fill:#2da44e}.p{fill:#8c959f}\
    .l{stroke:#2da44e;fill:none;stroke-width:2}.q{stroke:#8c959f;fill:none;stroke-width:2;stroke-dasharray:5 3}\
    .a{stroke:#8c959f;stroke-width:1}\
    @media(prefers-color-scheme:dark){text{fill:#e6edf3}}</style>";

/// Horizontal bars, the ones of pp-fetcher in its colour.
pub(crate) fn bars(title: &str, bars: &[(&str, f64)]) -> String {
    let most = bars.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let height = 40 + 30 * bars.len();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 {height}\" role=\"img\" aria-label=\"{title}\">{STYLE}\
         <text class=\"h\" x=\"0\" y=\"18\">{title}</text>\n"
    );
    for (at, (name, value)) in bars.iter().enumerate() {
        let y = 34 + 30 * at;
        let class = if name.starts_with("pp-") { "b" } else { "p" };
        let width = (value / most * 400.0).max(1.0);
        let digits = usize::from(*value < 100.0);
        let _ = writeln!(
            svg,
            "<text x=\"0\" y=\"{}\">{name}</text><rect class=\"{class}\" x=\"240\" y=\"{y}\" width=\"{width:.1}\" height=\"20\"/>\
             <text x=\"{:.1}\" y=\"{}\">{value:.digits$}</text>",
            y + 15,
            246.0 + width,
            y + 15
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// The curve of ours and, dashed, that of the peer; both axes logarithmic, so that a straight line that does not rise
/// steeper than the diagonal is linear or better.
pub(crate) fn curve(title: &str, points: &[Point]) -> String {
    let log = |value: f64| value.max(0.001).log10();
    let xs = points.iter().map(|point| log(point.at));
    let ys = points
        .iter()
        .flat_map(|point| [Some(point.ours), point.peer])
        .flatten()
        .map(log);
    let (left, right) = range(xs);
    let (low, high) = range(ys);
    let (low, high) = (low.floor(), high.ceil().max(low.floor() + 1.0));
    let x = |value: f64| 60.0 + (log(value) - left) / (right - left).max(0.1) * 420.0;
    let y = |value: f64| 200.0 - (log(value) - low) / (high - low) * 150.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 520 240\" role=\"img\" aria-label=\"{title}\">{STYLE}\
         <text class=\"h\" x=\"0\" y=\"18\">{title}</text>\
         <path class=\"a\" d=\"M60 40V200H490\"/>\n"
    );
    let mut decade = low;
    while decade <= high {
        let value = 10_f64.powf(decade);
        let _ = writeln!(
            svg,
            "<text x=\"0\" y=\"{:.0}\">{value} ms</text>",
            y(value) + 4.0
        );
        decade += 1.0;
    }
    for point in points {
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"220\">{}</text>",
            x(point.at) - 12.0,
            point.at
        );
    }
    let mut line = |class: &str, of: &dyn Fn(&Point) -> Option<f64>| {
        let places = points
            .iter()
            .filter_map(|point| Some(format!("{:.1},{:.1}", x(point.at), y(of(point)?))));
        let places = places.collect::<Vec<_>>().join(" ");
        if !places.is_empty() {
            let _ = writeln!(svg, "<polyline class=\"{class}\" points=\"{places}\"/>");
        }
    };
    line("q", &|point| point.peer);
    line("l", &|point| Some(point.ours));
    svg.push_str("</svg>\n");
    svg
}

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    })
}
