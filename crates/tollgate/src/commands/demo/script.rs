//! What befalls the simulated regions, and when. The gateway is told nothing of it.

use std::time::Duration;

use simulator::Behaviour;

/// The script begins anew after this.
const ROUND_S: u64 = 120;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scene {
    /// Since the start of a round.
    pub at_s: u64,
    pub says: &'static str,
    pub eastus: Condition,
    pub westeurope: Condition,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Well,
    /// Its own quota is small, as its rate-limit headers say.
    Short,
    /// Answers 503.
    Down,
}

const SCENES: [Scene; 5] = [
    Scene {
        at_s: 0,
        says: "all regions are well: eastus and westeurope (priority 1) share the calls",
        eastus: Condition::Well,
        westeurope: Condition::Well,
    },
    Scene {
        at_s: 8,
        says: "eastus and westeurope go down: every call there gets 503",
        eastus: Condition::Down,
        westeurope: Condition::Down,
    },
    Scene {
        at_s: 24,
        says: "eastus and westeurope are well again; a probe each will tell their breakers",
        eastus: Condition::Well,
        westeurope: Condition::Well,
    },
    Scene {
        at_s: 38,
        says: "eastus is cut to 1,500 tokens a minute, as its rate-limit headers say",
        eastus: Condition::Short,
        westeurope: Condition::Well,
    },
    // The gateway leaves it alone until the reset that its headers stated.
    Scene {
        at_s: 58,
        says: "eastus has its quota back; its headers said to wait for a minute",
        eastus: Condition::Well,
        westeurope: Condition::Well,
    },
];

/// The scene that begins in this second, if one does.
pub fn scene_at(second: u64) -> Option<&'static Scene> {
    SCENES.iter().find(|scene| scene.at_s == second % ROUND_S)
}

impl Condition {
    pub fn behaviour(self, region: &str) -> Behaviour {
        let well = Behaviour {
            latency: Duration::from_millis(20),
            jitter: Duration::from_millis(30),
            time_to_first_token: Duration::from_millis(120),
            tokens_per_second: 150,
            words_per_chunk: 2,
            region: region.to_owned(),
            ..Behaviour::default()
        };
        match self {
            Self::Well => well,
            Self::Short => Behaviour {
                tokens_per_minute: Some(1_500),
                ..well
            },
            Self::Down => Behaviour {
                status: Some(503),
                ..well
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_there_is_to_see_happens_within_the_first_minute_and_then_again() {
        let seconds: Vec<u64> = (0..60)
            .filter(|second| scene_at(*second).is_some())
            .collect();
        assert_eq!(seconds, [0, 8, 24, 38, 58]);
        assert_eq!(scene_at(ROUND_S + 24), scene_at(24));
    }
}
