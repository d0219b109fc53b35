//! Which member of a pool a call goes to.
//!
//! Does not know breakers or headers: its caller says what state each member is in.

use crate::ids::{BackendId, PoolId};
use crate::time::Mono;

#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    pub id: PoolId,
    /// In the order written; at least one.
    pub members: Vec<Member>,
    pub retry: RetryRule,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub backend: BackendId,
    /// Lower is tried first.
    pub priority: u32,
    /// Share within its priority; at least 1.
    pub weight: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryRule {
    /// Attempts in all, the first included.
    pub attempts: u32,
    /// Retries at most this share of the last 10 s of calls, but 3 a second always.
    pub budget: f64,
}

/// Whether a member may be chosen for this call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberState {
    Available,
    /// It says that it has no room until then. Chosen only when nobody else is left.
    Saturated {
        until: Mono,
    },
    /// Its breaker lets nobody through until then.
    Open {
        until: Mono,
    },
    /// This call was there already.
    Tried,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Its place in `Pool::members`.
    Member(usize),
    /// All are open or tried. `soonest`: when the first open one lets a probe through.
    None { soonest: Option<Mono> },
}

/// Whose turn it is in one pool: smooth weighted round robin. While the same members are available,
/// any run of picks as long as their weights' sum gives each exactly its weight, evenly spread.
#[derive(Clone, Debug, Default)]
pub struct Rotation {
    /// By place in `Pool::members`; what each member has coming.
    credits: Vec<i64>,
}

impl Default for RetryRule {
    fn default() -> Self {
        Self {
            attempts: 3,
            budget: 0.2,
        }
    }
}

impl Pool {
    /// The next member by priority and weight. A priority is used only when every member above it is
    /// open, saturated or tried; when only saturated ones are left, the one with room soonest goes.
    pub fn choose(&self, rotation: &mut Rotation, state: impl Fn(usize) -> MemberState) -> Choice {
        self.pick(state, |available| rotation.turn(&self.members, available))
    }

    /// The member that `key` belongs to, else the one that it would belong to without those that are
    /// not available. Members keep their keys when others come or go.
    pub fn choose_affine(&self, key_hash: u64, state: impl Fn(usize) -> MemberState) -> Choice {
        self.pick(state, |available| {
            available.iter().copied().max_by(|one, other| {
                let one = self.members[*one].attraction(key_hash);
                one.total_cmp(&self.members[*other].attraction(key_hash))
            })
        })
    }

    fn pick(
        &self,
        state: impl Fn(usize) -> MemberState,
        among: impl FnOnce(&[usize]) -> Option<usize>,
    ) -> Choice {
        let mut available = smallvec::SmallVec::<[usize; 16]>::new();
        let mut saturated: Option<(Mono, u32, usize)> = None;
        let mut soonest: Option<Mono> = None;
        for (index, member) in self.members.iter().enumerate() {
            match state(index) {
                MemberState::Available => available.push(index),
                MemberState::Saturated { until } => {
                    let candidate = (until, member.priority, index);
                    saturated = Some(saturated.map_or(candidate, |other| other.min(candidate)));
                }
                MemberState::Open { until } => {
                    soonest = Some(soonest.map_or(until, |other| other.min(until)));
                }
                MemberState::Tried => {}
            }
        }
        let priority = available
            .iter()
            .map(|index| self.members[*index].priority)
            .min();
        available.retain(|index| Some(self.members[*index].priority) == priority);
        among(&available)
            .or(saturated.map(|(_, _, index)| index))
            .map_or(Choice::None { soonest }, Choice::Member)
    }
}

impl Rotation {
    /// nginx's rule: everyone gets their weight, the richest goes and pays for all.
    fn turn(&mut self, members: &[Member], available: &[usize]) -> Option<usize> {
        self.credits.resize(members.len(), 0);
        let mut total = 0;
        let mut chosen: Option<usize> = None;
        for index in available {
            let weight = i64::from(members[*index].weight.max(1));
            total += weight;
            self.credits[*index] += weight;
            if chosen.is_none_or(|chosen| self.credits[*index] > self.credits[chosen]) {
                chosen = Some(*index);
            }
        }
        self.credits[chosen?] -= total;
        chosen
    }
}

impl Member {
    /// Weighted rendezvous hashing: the member with the highest value holds the key.
    fn attraction(&self, key_hash: u64) -> f64 {
        let mut hash = key_hash;
        for byte in self.backend.as_str().bytes() {
            hash = mix(hash ^ u64::from(byte));
        }
        // 52 bits, so that the number is exact and lies strictly between 0 and 1.
        #[expect(clippy::cast_precision_loss, reason = "52 bits fit a float")]
        let unit = ((mix(hash) >> 12) as f64 + 0.5) / (1u64 << 52) as f64;
        -f64::from(self.weight.max(1)) / unit.ln()
    }
}

/// The finisher of SplitMix64: every bit of the input moves every bit of the output.
fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30))
        .wrapping_add(0x9e37_79b9_7f4a_7c15)
        .wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests;
