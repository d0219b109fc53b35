//! From a call to bytes.

use std::time::Duration;

use domain::record::{
    AttemptRecord, CallRecord, Charge, ChargeUnit, Cost, Opening, OpeningPrice, PriceId, Verdict,
    Who,
};
use domain::{BackendId, Currency, Metered, Nanos, Usage, Wall};

use super::{
    Bounds, VERSION, cache_code, content_code, failure_code, outcome_code, ruling_code, tier_code,
};

pub(in crate::ledger) fn put_opening(out: &mut Vec<u8>, opening: &Opening, bounds: Bounds) {
    out.push(VERSION);
    put_opening_fields(out, opening, bounds);
    put_opening_price(out, opening.price.as_ref(), bounds);
}

/// Without the opening's price: the record has a cost instead.
pub(in crate::ledger) fn put_record(out: &mut Vec<u8>, record: &CallRecord, bounds: Bounds) {
    let CallRecord {
        opening,
        outcome,
        status,
        rule,
        backend,
        cache,
        metered,
        cost,
        saved,
        saved_tokens,
        similarity,
        latency,
        first_byte,
        attempts,
        verdicts,
    } = record;
    out.push(VERSION);
    put_opening_fields(out, opening, bounds);
    out.push(outcome_code(*outcome));
    put_number(out, u64::from(*status));
    put_optional_text(out, rule.as_deref(), bounds);
    put_optional_text(out, backend.as_ref().map(BackendId::as_str), bounds);
    out.push(cache_code(*cache));
    put_metered(out, metered);
    put_cost(out, cost, bounds);
    put_nanos(out, *saved);
    put_duration(out, *latency);
    match first_byte {
        None => out.push(0),
        Some(first_byte) => {
            out.push(1);
            put_duration(out, *first_byte);
        }
    }
    let attempts = &attempts[..attempts.len().min(bounds.list_len_max)];
    put_number(out, attempts.len() as u64);
    for attempt in attempts {
        put_attempt(out, attempt, bounds);
    }
    put_verdicts(out, verdicts, bounds);
    put_number(out, *saved_tokens);
    put_number(
        out,
        similarity.map_or(0, |similarity| 1 + u64::from(similarity)),
    );
}

pub(in crate::ledger) fn put_charges(out: &mut Vec<u8>, charges: &[Charge]) {
    out.push(VERSION);
    put_charge_list(out, charges, Bounds::FULL);
}

pub(in crate::ledger) fn put_price(out: &mut Vec<u8>, id: &PriceId, text: &str) {
    out.push(VERSION);
    put_text(out, id.as_str(), Bounds::FULL);
    put_text(out, text, Bounds::FULL);
}

fn put_opening_fields(out: &mut Vec<u8>, opening: &Opening, bounds: Bounds) {
    let Opening {
        id,
        at,
        who,
        model,
        asked_model,
        stream,
        revision,
        prompt_tokens,
        charges,
        price: _,
    } = opening;
    let Who {
        subscription,
        product,
        application,
        caller,
        user,
    } = who;
    out.extend_from_slice(&id.0.to_be_bytes());
    put_wall(out, *at);
    put_text(out, subscription.as_str(), bounds);
    put_text(out, product.as_str(), bounds);
    put_optional_text(out, application.as_ref().map(|name| name.as_str()), bounds);
    put_text(out, caller, bounds);
    put_optional_text(out, user.as_deref(), bounds);
    put_text(out, model.as_str(), bounds);
    put_optional_text(
        out,
        asked_model.as_ref().map(|model| model.as_str()),
        bounds,
    );
    out.push(u8::from(*stream));
    put_number(out, *revision);
    put_number(out, *prompt_tokens);
    put_charge_list(out, charges, bounds);
}

fn put_charge_list(out: &mut Vec<u8>, charges: &[Charge], bounds: Bounds) {
    let charges = &charges[..charges.len().min(bounds.list_len_max)];
    put_number(out, charges.len() as u64);
    for Charge { limit, key, unit } in charges {
        put_text(out, limit.as_str(), bounds);
        put_text(out, key, bounds);
        match unit {
            ChargeUnit::TokensPerMinute => out.push(1),
            ChargeUnit::RequestsPerMinute => out.push(2),
            ChargeUnit::Quota { period_start } => {
                out.push(3);
                put_wall(out, *period_start);
            }
            ChargeUnit::Budget { period_start } => {
                out.push(4);
                put_wall(out, *period_start);
            }
        }
    }
}

fn put_attempt(out: &mut Vec<u8>, attempt: &AttemptRecord, bounds: Bounds) {
    let AttemptRecord {
        backend,
        status,
        failure,
        metered,
        cost,
        latency,
    } = attempt;
    put_text(out, backend.as_str(), bounds);
    put_number(out, u64::from(*status));
    out.push(failure.map_or(0, failure_code));
    put_metered(out, metered);
    put_cost(out, cost, bounds);
    put_duration(out, *latency);
}

fn put_verdicts(out: &mut Vec<u8>, verdicts: &[Verdict], bounds: Bounds) {
    let verdicts = &verdicts[..verdicts.len().min(bounds.verdicts_max)];
    put_number(out, verdicts.len() as u64);
    for verdict in verdicts {
        let Verdict {
            guard,
            on,
            verdict,
            findings,
            failure,
        } = verdict;
        put_text(out, guard, bounds);
        out.push(content_code(*on));
        out.push(ruling_code(*verdict));
        let findings = &findings[..findings.len().min(bounds.verdicts_max)];
        put_number(out, findings.len() as u64);
        for (kind, amount) in findings {
            put_text(out, kind, bounds);
            put_number(out, u64::from(*amount));
        }
        put_optional_text(out, failure.as_deref(), bounds);
    }
}

fn put_opening_price(out: &mut Vec<u8>, price: Option<&OpeningPrice>, bounds: Bounds) {
    let Some(price) = price else {
        out.push(0);
        return;
    };
    let OpeningPrice {
        id,
        currency,
        prompt_per_million,
        completion_per_million,
    } = price;
    out.push(1);
    put_text(out, id.as_str(), bounds);
    put_currency(out, *currency);
    put_nanos(out, *prompt_per_million);
    put_nanos(out, *completion_per_million);
}

fn put_cost(out: &mut Vec<u8>, cost: &Cost, bounds: Bounds) {
    match cost {
        Cost::Nothing => out.push(0),
        Cost::Priced {
            amount,
            currency,
            price,
        } => {
            out.push(1);
            put_nanos(out, *amount);
            put_currency(out, *currency);
            put_text(out, price.as_str(), bounds);
        }
        Cost::Unpriced => out.push(2),
    }
}

fn put_currency(out: &mut Vec<u8>, currency: Currency) {
    out.extend_from_slice(currency.as_str().as_bytes());
}

fn put_metered(out: &mut Vec<u8>, metered: &Metered) {
    let Usage {
        tier,
        prompt,
        completion,
        cached_prompt,
        cache_write,
        cache_write_1h,
        reasoning,
        audio_prompt,
        audio_completion,
        images,
    } = *metered.usage();
    out.push(u8::from(metered.is_estimated()));
    for amount in [
        prompt,
        completion,
        cached_prompt,
        cache_write,
        reasoning,
        audio_prompt,
        audio_completion,
        images,
        cache_write_1h,
    ] {
        put_number(out, amount);
    }
    out.push(tier_code(tier));
}

/// Seven bits a byte, the lowest first; the high bit says that more follow.
fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_wall(out: &mut Vec<u8>, wall: Wall) {
    put_signed(out, wall.0);
}

fn put_nanos(out: &mut Vec<u8>, nanos: Nanos) {
    put_signed(out, nanos.0);
}

/// Zigzag, so that numbers just below zero are short too.
fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_number(out, ((number << 1) ^ (number >> 63)).cast_unsigned());
}

/// To the microsecond, as the database keeps it.
fn put_duration(out: &mut Vec<u8>, duration: Duration) {
    put_number(out, u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
}

fn put_text(out: &mut Vec<u8>, text: &str, bounds: Bounds) {
    let text = if text.len() <= bounds.text_bytes_max {
        text
    } else {
        &text[..text.floor_char_boundary(bounds.text_bytes_max)]
    };
    put_number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn put_optional_text(out: &mut Vec<u8>, text: Option<&str>, bounds: Bounds) {
    match text {
        None => out.push(0),
        Some(text) => {
            out.push(1);
            put_text(out, text, bounds);
        }
    }
}
