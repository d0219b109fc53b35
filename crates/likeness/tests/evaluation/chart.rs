//! The figures as a drawing that is read on light and on dark ground.

use std::fmt::Write;

use super::figures::{Hits, Point, Sweep};

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 360.0;
const PANEL: f64 = 350.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 280.0;
const LEFT: [f64; 2] = [55.0, 480.0];

/// Colours that stand out on both grounds; what is plain text takes the ground's contrary.
const STYLE: &str = "text{font:13px sans-serif;fill:#1f2328}.t{font-weight:bold}.g{stroke:#8c959f;stroke-width:.5;\
opacity:.6}.l{fill:none;stroke-width:2.5}.h{stroke:#1a7f37}.f{stroke:#cf222e}.p{stroke:#9a6700}.a{stroke-dasharray:5 4;stroke-width:1.5}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.h{stroke:#3fb950}.f{stroke:#ff7b72}.p{stroke:#d29922}}";

pub fn draw(development: &Sweep, held_out: &Sweep) -> String {
    let mut out = String::new();
    line(
        &mut out,
        &format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
             aria-label=\"Hits and false hits at each threshold\">\n<style>{STYLE}</style>"
        ),
    );
    for (left, title, sweep) in [
        (LEFT[0], "Held out", held_out),
        (LEFT[1], "Development", development),
    ] {
        panel(&mut out, left, title, sweep);
    }
    legend(&mut out);
    out.push_str("</svg>\n");
    out
}

fn panel(out: &mut String, left: f64, title: &str, sweep: &Sweep) {
    text(out, left, TOP - 30.0, "t", title);
    for tenth in 0..=4 {
        let share = f64::from(tenth) / 5.0;
        let y = height(share);
        line(
            out,
            &format!(
                "<line class=\"g\" x1=\"{left:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
                left + PANEL
            ),
        );
        text(
            out,
            left - 40.0,
            y + 4.0,
            "",
            &format!("{:.0}%", share * 100.0),
        );
    }
    for hundredths in [65, 70, 75, 80, 85, 90, 95] {
        text(
            out,
            across(left, hundredths) - 14.0,
            BOTTOM + 20.0,
            "",
            &format!("0.{hundredths}"),
        );
    }
    let mut curve = |class: &str, share: &dyn Fn(&Point) -> f64| {
        let points: Vec<String> = sweep
            .points
            .iter()
            .map(|point| {
                let (x, y) = (across(left, point.hundredths), height(share(point)));
                format!("{x:.1},{y:.1}")
            })
            .collect();
        line(
            out,
            &format!(
                "<polyline class=\"l {class}\" points=\"{}\"/>",
                points.join(" ")
            ),
        );
    };
    let hits = |hits: Hits| sweep.hit_share(hits);
    let wrong = |hits: Hits| sweep.false_share(hits);
    let apart = |hits: Hits| sweep.apart_share(hits);
    curve("h a", &|point| hits(point.alone));
    curve("f a", &|point| wrong(point.alone));
    curve("p a", &|point| apart(point.alone));
    curve("h", &|point| hits(point.guarded));
    curve("p", &|point| apart(point.guarded));
    curve("f", &|point| wrong(point.guarded));
}

fn legend(out: &mut String) {
    let entries = [
        ("h", "paraphrases hit"),
        ("f", "near misses hit, wrongly"),
        ("p", "pairs apart hit, wrongly"),
        ("h a", "dashed: by the cosine alone"),
    ];
    for (number, (class, what)) in (0..).zip(entries) {
        let x = LEFT[0] + 210.0 * f64::from(number) - 40.0;
        let y = HEIGHT - 25.0;
        line(
            out,
            &format!(
                "<line class=\"l {class}\" x1=\"{x:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
                x + 24.0
            ),
        );
        text(out, x + 30.0, y + 4.0, "", what);
    }
}

/// The grid ends at 80%, a little above the highest curve.
fn height(share: f64) -> f64 {
    BOTTOM - (BOTTOM - TOP) * share / 0.8
}

fn across(left: f64, hundredths: u32) -> f64 {
    left + PANEL * (f64::from(hundredths) - 65.0) / 34.0
}

fn text(out: &mut String, x: f64, y: f64, class: &str, what: &str) {
    let class = if class.is_empty() {
        String::new()
    } else {
        format!(" class=\"{class}\"")
    };
    line(
        out,
        &format!("<text{class} x=\"{x:.1}\" y=\"{y:.1}\">{what}</text>"),
    );
}

fn line(out: &mut String, what: &str) {
    writeln!(out, "{what}").expect("a string takes all");
}
