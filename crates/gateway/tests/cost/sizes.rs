//! Ten thousand subscriptions, a thousand models and a hundred backends: a call costs what it costs
//! among few, and loading them grows no faster than they do.

use domain::SubscriptionId;

use crate::gate::{Gate, Size, chat, load};

const LARGE: Size = Size {
    subscriptions: 10_000,
    models: 1_000,
    backends: 100,
};
const CALLS: usize = 100;

/// The last ones of each: whatever is searched from the front is searched to its end.
fn cost_of_a_call(size: Size) -> (f64, f64) {
    let gate = Gate::of(size);
    let calls = || {
        let (subscription, model) = (size.subscriptions - 1, size.models - 1);
        (0..CALLS).map(|_| chat(subscription, model, "")).collect()
    };
    let _first_ones = gate.cost_of(calls());
    let cost = gate.cost_of(calls());
    (
        cost.count_total as f64 / CALLS as f64,
        cost.bytes_total as f64 / CALLS as f64,
    )
}

#[test]
fn a_call_allocates_the_same_among_ten_thousand_subscriptions() {
    let (few, few_bytes) = cost_of_a_call(Size::ONE);
    let (many, many_bytes) = cost_of_a_call(LARGE);
    println!("a call among one of each: {few:.2} allocations, {few_bytes:.0} bytes");
    println!("a call among {LARGE:?}: {many:.2} allocations, {many_bytes:.0} bytes");
    assert!(many <= few + 0.5, "{many} allocations, {few} among one");
    // Names are a few letters longer.
    assert!(many_bytes <= few_bytes * 1.05, "{many_bytes}, {few_bytes}");
}

#[test]
fn loading_grows_no_faster_than_what_is_loaded() {
    let cost = |scale: usize| {
        let size = Size {
            subscriptions: LARGE.subscriptions / scale,
            models: LARGE.models / scale,
            backends: LARGE.backends / scale,
        };
        let text = size.configuration("http://127.0.0.1:9");
        let mut loaded = None;
        let cost = allocation_counter::measure(|| loaded = Some(load(&text)));
        let last = SubscriptionId::from(&*format!("team-{:05}", size.subscriptions - 1));
        assert!(loaded.unwrap().subscriptions.contains_key(&last));
        println!(
            "loading {size:?}: {} allocations, {} bytes, {} bytes kept",
            cost.count_total, cost.bytes_total, cost.bytes_current
        );
        cost
    };
    let (tenth, whole) = (cost(10), cost(1));
    for (what, of_tenth, of_whole) in [
        ("allocations", tenth.count_total, whole.count_total),
        ("bytes", tenth.bytes_total, whole.bytes_total),
    ] {
        let growth = of_whole as f64 / of_tenth as f64;
        assert!(
            growth < 12.0,
            "{what} grow {growth:.1} times for ten times as many"
        );
    }
    assert!(
        whole.bytes_current < 40 * 1024 * 1024,
        "{} bytes are kept",
        whole.bytes_current
    );
}
