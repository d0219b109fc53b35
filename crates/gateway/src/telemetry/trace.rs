//! W3C trace context: what comes in, what goes on, and whether a call is traced.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::clock::Chance;

pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// A call's place in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    pub trace_id: u128,
    pub span_id: u64,
    /// The caller's span.
    pub parent: Option<u64>,
    pub is_sampled: bool,
    /// `tracestate` belongs to the `traceparent` that came with it, and goes on only with that.
    keeps_state: bool,
}

impl TraceContext {
    /// Follows the caller's decision where it made one, else samples `ratio` of all traces, by their
    /// id, so that every service with the same ratio picks the same ones.
    pub fn of(headers: &HeaderMap, ratio: f64, chance: &Chance) -> Self {
        let span_id = chance.roll().max(1);
        let mut lines = headers.get_all(TRACEPARENT).iter();
        let parent = match (lines.next(), lines.next()) {
            (Some(one), None) => parse(one.as_bytes()),
            _ => None,
        };
        if let Some((trace_id, parent, is_sampled)) = parent {
            return Self {
                trace_id,
                span_id,
                parent: Some(parent),
                is_sampled,
                keeps_state: true,
            };
        }
        let low = chance.roll();
        let trace_id = (u128::from(chance.roll()) << 64) | u128::from(low.max(1));
        Self {
            trace_id,
            span_id,
            parent: None,
            is_sampled: ((low >> 1) as f64) < ratio * (1_u64 << 63) as f64,
            keeps_state: false,
        }
    }

    /// The span of an attempt, by its number from 0. Derived, so that nothing must remember it.
    pub fn attempt(&self, number: usize) -> u64 {
        let chance = Chance::seeded(self.span_id.wrapping_add(number as u64));
        chance.roll().max(1)
    }

    /// What the backend of an attempt is told.
    pub fn propagate(&self, attempt: usize, headers: &mut HeaderMap) {
        let (trace_id, span_id) = (self.trace_id, self.attempt(attempt));
        let flags = u8::from(self.is_sampled);
        let text = format!("00-{trace_id:032x}-{span_id:016x}-{flags:02x}");
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(TRACEPARENT, value);
        }
        if !self.keeps_state {
            headers.remove(TRACESTATE);
        }
    }
}

/// `00-<32 hex>-<16 hex>-<2 hex>`; a later version may have more after it.
fn parse(text: &[u8]) -> Option<(u128, u64, bool)> {
    let text = std::str::from_utf8(text).ok()?;
    let (head, rest) = text.split_at_checked(55)?;
    let mut parts = head.split('-');
    let version = hex(parts.next()?, 2)?;
    let trace_id = hex(parts.next()?, 32)?;
    let parent = u64::try_from(hex(parts.next()?, 16)?).ok()?;
    let flags = hex(parts.next()?, 2)?;
    let is_whole = match version {
        0xff => false,
        0 => rest.is_empty(),
        _ => rest.is_empty() || rest.starts_with('-'),
    };
    (is_whole && parts.next().is_none() && trace_id != 0 && parent != 0).then_some((
        trace_id,
        parent,
        flags & 1 == 1,
    ))
}

/// Lower case only, as the standard has it.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex = text
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (is_hex && text.len() == digits)
        .then(|| u128::from_str_radix(text, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn with(parent: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, HeaderValue::from_str(parent).unwrap());
        headers.insert(TRACESTATE, HeaderValue::from_static("vendor=1"));
        headers
    }

    #[test]
    fn the_caller_s_trace_and_decision_are_kept() {
        let chance = Chance::seeded(1);
        let traced = TraceContext::of(&with(PARENT), 0.0, &chance);
        assert!(traced.is_sampled);
        assert_eq!(traced.parent, Some(0x00f0_67aa_0ba9_02b7));
        let untraced = TraceContext::of(&with(&PARENT.replace("-01", "-00")), 1.0, &chance);
        assert!(!untraced.is_sampled);

        let mut headers = with(PARENT);
        traced.propagate(0, &mut headers);
        let sent = headers[TRACEPARENT].to_str().unwrap();
        let span = format!("{:016x}", traced.attempt(0));
        assert_eq!(
            sent,
            format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{span}-01")
        );
        assert_eq!(headers[TRACESTATE], "vendor=1");
        assert_ne!(traced.attempt(0), traced.attempt(1));
    }

    #[test]
    fn a_broken_traceparent_starts_a_trace_and_its_state_goes_no_further() {
        let zero = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        for broken in [
            "",
            "00-4bf9",
            zero,
            &PARENT.to_uppercase(),
            &format!("{PARENT}-more"),
            &PARENT.replacen("00", "ff", 1),
            &"ü".repeat(28),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(
                TRACEPARENT,
                HeaderValue::from_bytes(broken.as_bytes()).unwrap(),
            );
            headers.insert(TRACESTATE, HeaderValue::from_static("vendor=1"));
            let context = TraceContext::of(&headers, 1.0, &Chance::seeded(7));
            assert_eq!(context.parent, None, "{broken}");
            context.propagate(0, &mut headers);
            assert!(!headers.contains_key(TRACESTATE));
            assert!(parse(headers[TRACEPARENT].as_bytes()).is_some());
        }
        assert!(parse(format!("{}-more", PARENT.replacen("00", "01", 1)).as_bytes()).is_some());
    }

    #[test]
    fn the_ratio_of_traces_is_sampled() {
        let chance = Chance::seeded(3);
        let sampled = |ratio| {
            (0..10_000)
                .filter(|_| TraceContext::of(&HeaderMap::new(), ratio, &chance).is_sampled)
                .count()
        };
        assert_eq!((sampled(0.0), sampled(1.0)), (0, 10_000));
        assert!((900..1_100).contains(&sampled(0.1)));
    }
}
