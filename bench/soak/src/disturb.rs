//! What happens to the gateway meanwhile: reloads, failing regions, kills.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep_until};

use crate::gate::{Gate, Provider};
use crate::{Options, now, say};

pub enum Event {
    Reload,
    Fault,
    Heal,
    Kill,
}

pub struct Disturbance {
    every: [Duration; 3],
    /// Reload, fault or heal, kill; `None`: never. Each keeps to a grid of its own: what meets a burst in
    /// one quarter of a run meets one in each. Measured from what was done last they drifted, and the
    /// first failure in the middle of a burst, ten minutes on, looked like growth.
    next: [Option<Instant>; 3],
    is_failing: Option<usize>,
    region: usize,
    pub reloads: u64,
    broken_since_start: u64,
    good_since_start: u64,
    pub kills: u64,
}

impl Disturbance {
    pub fn new(options: &Options) -> Self {
        let every = [
            options.reload_every,
            options.fault_every,
            options.kill_every,
        ];
        Self {
            every,
            next: every.map(|every| (!every.is_zero()).then(|| now() + every)),
            is_failing: None,
            region: 0,
            reloads: 0,
            broken_since_start: 0,
            good_since_start: 0,
            kills: 0,
        }
    }

    pub async fn next(&self) -> Event {
        let soonest = self.next.iter().flatten().min();
        let Some(soonest) = soonest else {
            return std::future::pending().await;
        };
        sleep_until(*soonest).await;
        match self.next.iter().position(|at| at.as_ref() == Some(soonest)) {
            Some(0) => Event::Reload,
            Some(1) if self.is_failing.is_some() => Event::Heal,
            Some(1) => Event::Fault,
            _ => Event::Kill,
        }
    }

    pub async fn act(&mut self, event: Event, gate: &mut Gate, provider: &Provider) -> Result<()> {
        let [reload, fault, kill] = self.every;
        match event {
            Event::Reload => {
                self.put_off(0, reload);
                self.reloads += 1;
                let is_broken = self.reloads.is_multiple_of(2);
                gate.rewrite(self.reloads, is_broken)?;
                if is_broken {
                    self.broken_since_start += 1;
                } else {
                    self.good_since_start += 1;
                }
            }
            Event::Fault => {
                self.put_off(1, fault / 4);
                self.is_failing = Some(self.region);
                provider.set_failing(self.region, true).await?;
            }
            Event::Heal => {
                self.put_off(1, fault);
                provider.set_failing(self.region, false).await?;
                self.region = (self.region + 1) % provider.regions.len();
                self.is_failing = None;
            }
            Event::Kill => {
                self.put_off(2, kill);
                // What it would start with must load.
                gate.rewrite(self.reloads, false)?;
                gate.kill_and_restart().await?;
                self.kills += 1;
                (self.broken_since_start, self.good_since_start) = (0, 0);
                say("         killed and started anew");
            }
        }
        Ok(())
    }

    fn put_off(&mut self, event: usize, every: Duration) {
        if let Some(at) = &mut self.next[event] {
            *at = following(*at, every, now());
        }
    }

    /// Each reload was taken up, or refused, since the process began.
    pub async fn faults(&self, gate: &Gate) -> Result<Vec<String>> {
        let metrics = gate.admin.get("/metrics").await?.body;
        let metrics = String::from_utf8_lossy(&metrics).into_owned();
        let mut faults = Vec::new();
        for (result, least) in [
            ("ok", self.good_since_start),
            ("failed", self.broken_since_start),
        ] {
            let line = format!("tollgate_config_reloads_total{{result=\"{result}\"}} ");
            let count = metrics
                .lines()
                .find_map(|said| said.strip_prefix(&line)?.parse().ok());
            // The last one may still be on its way, and a file may be found by itself as well.
            if count.is_none_or(|count: u64| count + 1 < least) {
                faults.push(format!(
                    "{least} reloads should be {result}, {count:?} were"
                ));
            }
        }
        Ok(faults)
    }
}

/// The first point of a grid that is still to come.
fn following(at: Instant, every: Duration, now: Instant) -> Instant {
    let mut next = at + every;
    while next <= now {
        next += every;
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_late_keeps_to_its_grid_and_leaves_out_what_it_missed() {
        let second = Duration::from_secs(1);
        let start = now();
        let late = start + second / 3;
        assert_eq!(following(start, second, late), start + second);
        assert_eq!(
            following(start, second, late + 4 * second),
            start + 5 * second
        );
    }
}
