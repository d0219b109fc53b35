//! Turns calls away before they cost anything, once those that were let in fill the gateway.
//!
//! A call is counted from its head to its last byte, a body from its first byte until nobody holds
//! it. Probes and the admin listener never come by here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use config::snapshot::Settings;
use domain::Mono;
use domain::overload::{self, Shedder};

/// Bodies up to this size are not counted one by one: `limits.calls` bounds them together.
const SMALL_BODY_BYTES: u64 = 16 * 1024;
/// A body that does not say its length is counted in steps of this.
const STEP_BYTES: u64 = 64 * 1024;
/// Between two looks at how long work waits before it runs.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A delay began before the first look: its time must have a number too.
const HEADSTART: Duration = Duration::from_secs(48 * 3600);

/// What the gateway holds and how far it is behind. Each figure is an atomic number: a check costs
/// nanoseconds and waits for nobody.
#[derive(Debug, Default)]
pub struct Overload {
    calls: AtomicUsize,
    calls_max: AtomicUsize,
    body_bytes: AtomicU64,
    body_bytes_max: AtomicU64,
    /// Of 16 new calls, so many are turned away for the queue's sake.
    share: AtomicU32,
    /// Numbers the calls, so that the share is spread evenly.
    number: AtomicU32,
}

/// Why a call was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shed {
    Calls,
    Bodies,
    Queue,
}

impl Shed {
    pub const ALL: [Self; 3] = [Self::Calls, Self::Bodies, Self::Queue];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Bodies => "bodies",
            Self::Queue => "queue",
        }
    }
}

impl Overload {
    /// Calls in flight keep their places: a lowered bound turns away new ones only.
    pub fn set_bounds(&self, settings: &Settings) {
        let calls_max = usize::try_from(settings.calls_max).unwrap_or(usize::MAX);
        self.calls_max.store(calls_max, Ordering::Relaxed);
        self.body_bytes_max
            .store(settings.bodies_in_memory_bytes_max, Ordering::Relaxed);
    }

    /// Counts a call for as long as its place lives, turned away or not.
    pub fn enter(self: &Arc<Self>) -> (Place, Option<Shed>) {
        let before = self.calls.fetch_add(1, Ordering::Relaxed);
        let place = Place(self.clone());
        if before >= self.calls_max.load(Ordering::Relaxed) {
            return (place, Some(Shed::Calls));
        }
        let share = self.share.load(Ordering::Relaxed);
        if share > 0 {
            let number = self.number.fetch_add(1, Ordering::Relaxed);
            if overload::sheds(number, share) {
                return (place, Some(Shed::Queue));
            }
        }
        (place, None)
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    pub fn body_bytes(&self) -> u64 {
        self.body_bytes.load(Ordering::Relaxed)
    }

    /// Room for a body of which nothing was read yet.
    pub fn body_room(self: &Arc<Self>) -> BodyRoom {
        BodyRoom {
            overload: self.clone(),
            bytes: 0,
        }
    }

    /// Looks at how late a task runs that is ready to, for as long as it is polled. By the runtime's
    /// own time: a clock that a test moves delays nothing.
    pub async fn watch(&self, target: impl Fn() -> Duration) {
        let mut shedder = Shedder::default();
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let began = looks.tick().await;
        loop {
            let delay = looks.tick().await.elapsed();
            let now = Mono::default() + HEADSTART + began.elapsed();
            let share = shedder.observe(delay, target(), now);
            let was = self.share.swap(share, Ordering::Relaxed);
            if was == 0 && share > 0 {
                tracing::warn!(
                    delay_ms = delay.as_millis() as u64,
                    "overloaded: new calls are turned away"
                );
            } else if was > 0 && share == 0 {
                tracing::info!("no longer overloaded");
            }
        }
    }
}

/// One call's place among those in flight.
#[derive(Debug)]
pub struct Place(Arc<Overload>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is counted of one body.
#[derive(Debug)]
pub struct BodyRoom {
    overload: Arc<Overload>,
    bytes: u64,
}

impl BodyRoom {
    /// Room for `bytes` in all.
    pub fn grow_to(&mut self, bytes: u64) -> Result<(), Shed> {
        if bytes <= self.bytes.max(SMALL_BODY_BYTES) {
            return Ok(());
        }
        let wanted = bytes.next_multiple_of(STEP_BYTES) - self.bytes;
        let before = self
            .overload
            .body_bytes
            .fetch_add(wanted, Ordering::Relaxed);
        // Counted at once, so that dropping gives back whatever was taken.
        self.bytes += wanted;
        if before + wanted > self.overload.body_bytes_max.load(Ordering::Relaxed) {
            return Err(Shed::Bodies);
        }
        Ok(())
    }

    /// The body, which keeps its room until its last clone is gone.
    pub fn keep(self, body: Bytes) -> Bytes {
        if self.bytes == 0 {
            return body;
        }
        Bytes::from_owner(Kept { body, _room: self })
    }
}

impl Drop for BodyRoom {
    fn drop(&mut self) {
        self.overload
            .body_bytes
            .fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

struct Kept {
    body: Bytes,
    _room: BodyRoom,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overload(calls_max: usize, body_bytes_max: u64) -> Arc<Overload> {
        Arc::new(Overload {
            calls_max: AtomicUsize::new(calls_max),
            body_bytes_max: AtomicU64::new(body_bytes_max),
            ..Overload::default()
        })
    }

    #[test]
    fn a_call_past_the_bound_is_turned_away_until_another_ends() {
        let overload = overload(2, 0);
        let places = [overload.enter(), overload.enter()];
        assert!(places.iter().all(|(_, shed)| shed.is_none()));
        assert_eq!(overload.enter().1, Some(Shed::Calls));
        drop(places);
        assert_eq!(overload.enter().1, None);
        assert_eq!(overload.calls(), 0);
    }

    #[test]
    fn a_body_keeps_its_room_until_its_last_clone_is_gone() {
        let overload = overload(1, 128 * 1024);
        let mut room = overload.body_room();
        assert_eq!(room.grow_to(100 * 1024), Ok(()));
        let body = room.keep(Bytes::from(vec![7; 100 * 1024]));
        assert_eq!(overload.body_room().grow_to(64 * 1024), Err(Shed::Bodies));
        let part = body.slice(10..20);
        drop(body);
        assert_eq!(overload.body_bytes(), 128 * 1024);
        assert_eq!(&part[..], [7; 10]);
        drop(part);
        assert_eq!(overload.body_bytes(), 0);
        assert_eq!(overload.body_room().grow_to(64 * 1024), Ok(()));
    }

    #[test]
    fn small_bodies_are_as_they_came() {
        let overload = overload(1, 0);
        let mut room = overload.body_room();
        assert_eq!(room.grow_to(SMALL_BODY_BYTES), Ok(()));
        let body = Bytes::from_static(b"{}");
        assert_eq!(room.keep(body.clone()).as_ptr(), body.as_ptr());
        assert_eq!(
            overload.body_room().grow_to(SMALL_BODY_BYTES + 1),
            Err(Shed::Bodies)
        );
    }
}
