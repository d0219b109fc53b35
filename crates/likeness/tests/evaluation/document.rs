//! The section of `docs/cache.md` that the figures write.

use std::fmt::Write;
use std::path::PathBuf;

use super::figures::{Point, Sweep};
use super::learned::FIGURES;

const BEGIN: &str = "<!-- cargo test -p likeness --test evaluation writes what follows -->";
const END: &str = "<!-- up to here -->";

pub fn section(development: &Sweep, held_out: &Sweep, by_words: &Sweep) -> String {
    let mut out = String::from(
        "![Hits and false hits at each threshold, by the cosine alone and with the guard](cache-quality.svg)\n\n",
    );
    verdict(&mut out, held_out);
    without_the_model(&mut out, by_words);
    out.push_str(
        "\n| threshold | held out: false hits, cosine alone | with the guard | apart, cosine alone | with the guard \
         | hits, cosine alone | with the guard | development: false hits with the guard | apart | hits |\n\
         |---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for (held, known) in held_out.points.iter().zip(&development.points) {
        line(
            &mut out,
            &format!(
                "| {} | {} | **{}** | {} | **{}** | {} | **{}** | {} | {} | {} |",
                threshold(held),
                percent(held_out.false_share(held.alone)),
                percent(held_out.false_share(held.guarded)),
                percent(held_out.apart_share(held.alone)),
                percent(held_out.apart_share(held.guarded)),
                percent(held_out.hit_share(held.alone)),
                percent(held_out.hit_share(held.guarded)),
                percent(development.false_share(known.guarded)),
                percent(development.apart_share(known.guarded)),
                percent(development.hit_share(known.guarded)),
            ),
        );
    }
    out.push_str(
        "\nFalse hits are shares of the near misses, hits of the paraphrases. Apart are different questions about one \
         thing in wordings that share few words: a wrong answer too, of a kind that looks like a paraphrase. By what sets \
         two near misses apart, at 0.80:\n\n| | held out: pairs | cosine alone | with the guard | development: pairs | cosine alone | with the \
         guard |\n|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for (what, [pairs, alone, guarded]) in &held_out.by_what {
        let [known, known_alone, known_guarded] =
            development.by_what.get(what).copied().unwrap_or_default();
        line(
            &mut out,
            &format!(
                "| {what} | {pairs} | {alone} | **{guarded}** | {known} | {known_alone} | **{known_guarded}** |"
            ),
        );
    }
    learned(&mut out);
    out
}

/// The learned threshold, which trusts neither cosine nor guard.
fn learned(out: &mut String) {
    out.push_str(
        "\nA learned threshold (`max_error_rate`) on the same pairs, in 20 runs of entries that are asked the questions \
         of eight families over and over:\n\n| bound | | wrong answers, worst run | mean | answered from the cache, mean \
         |\n|---:|---|---:|---:|---:|\n",
    );
    for figures in FIGURES.iter() {
        line(
            out,
            &format!(
                "| {:.0}% | {} | {:.2}% | {:.2}% | {} |",
                figures.max_error_rate * 100.0,
                if figures.guarded {
                    "with the guard"
                } else {
                    "cosine alone"
                },
                figures.worst_error_rate * 100.0,
                figures.error_rate * 100.0,
                percent(figures.hit_rate)
            ),
        );
    }
}

/// What the figures say of the goal, met or not.
fn verdict(out: &mut String, held_out: &Sweep) {
    let Some(near) = held_out.at(0.80) else {
        return;
    };
    line(
        out,
        &format!(
            "Of {} near misses that no rule was written with, {} hit at cosine 0.80 without the guard and {} ({}) with \
             it; of {} paraphrases {} hit, and {} of these ({}) still do.",
            held_out.near_misses,
            near.alone.false_hits,
            near.guarded.false_hits,
            percent(held_out.false_share(near.guarded)),
            held_out.paraphrases,
            near.alone.hits,
            near.guarded.hits,
            percent(held_out.kept(near.guarded)),
        ),
    );
    let lowest = held_out.lowest();
    line(
        out,
        &format!(
            "At {}, {} near misses hit with it ({}), {} of {} pairs apart ({}), and {} \
             paraphrases: {} of what the cosine alone hits from 0.80 on.",
            threshold(lowest),
            lowest.guarded.false_hits,
            percent(held_out.false_share(lowest.guarded)),
            lowest.guarded.apart,
            held_out.apart,
            percent(held_out.apart_share(lowest.guarded)),
            lowest.guarded.hits,
            percent(held_out.kept(lowest.guarded)),
        ),
    );
    let sentence = match (held_out.wanted(), held_out.safe()) {
        (Some(point), _) => format!(
            "The lowest threshold with fewer than 1% false hits that keeps 75% of the hits of cosine 0.80 is **{}**.",
            threshold(point)
        ),
        (None, Some(point)) => format!(
            "The goal, fewer than 1% false hits while 75% of the hits of cosine 0.80 are kept, is met by no threshold. \
             The lowest with fewer than 1% false hits is **{}**: {}, and {} of those hits.",
            threshold(point),
            percent(held_out.false_share(point.guarded)),
            percent(held_out.kept(point.guarded)),
        ),
        (None, None) => "No threshold has fewer than 1% false hits.".to_owned(),
    };
    line(out, &sentence);
    if let Some(point) = held_out.at(likeness::choice::SAFE) {
        line(
            out,
            &format!(
                "At {}, the default, {} of the pairs apart hit, {} of the near misses, and {} of \
                 those hits.",
                threshold(point),
                percent(held_out.apart_share(point.guarded)),
                percent(held_out.false_share(point.guarded)),
                percent(held_out.kept(point.guarded)),
            ),
        );
    }
}

/// What an embedder that is a backend leaves of it.
fn without_the_model(out: &mut String, by_words: &Sweep) {
    let safe = match by_words.safe() {
        Some(point) => format!(
            "the lowest threshold with fewer than 1% false hits is {}, with {} of those hits",
            threshold(point),
            percent(by_words.kept(point.guarded))
        ),
        None => "no threshold has fewer than 1% false hits".to_owned(),
    };
    line(
        out,
        &format!("By the words alone, without the local model's reading of the questions, {safe}."),
    );
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("a string takes all");
}

fn threshold(point: &Point) -> String {
    format!("0.{:02}", point.hundredths)
}

fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

fn docs(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(name)
}

/// Fails if the document is not this text, or writes it where that is asked for.
pub fn keep(name: &str, text: &str) {
    let path = docs(name);
    if std::env::var_os("TOLLGATE_WRITE_DOCS").is_some() {
        std::fs::write(&path, text).expect("docs can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "docs/{name} is not what the figures say: TOLLGATE_WRITE_DOCS=1 cargo test -p likeness --test evaluation"
    );
}

/// The same for what stands between the marks.
pub fn keep_section(name: &str, text: &str) {
    let found = std::fs::read_to_string(docs(name)).expect("the document is there");
    let (before, rest) = found.split_once(BEGIN).expect("the document has the mark");
    let (_, after) = rest.split_once(END).expect("and the mark of the end");
    keep(name, &format!("{before}{BEGIN}\n\n{text}\n{END}{after}"));
}
