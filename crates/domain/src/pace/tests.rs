use super::*;

const MINIMUM: u64 = 1_000;

fn pace(days: &[[u64; 3]], hour: Hour) -> Pace {
    Usual::of(days, MINIMUM).unwrap().compare(hour, 3.0)
}

fn over(amount: u64) -> Hour {
    Hour {
        amount,
        is_over: true,
    }
}

fn running(amount: u64) -> Hour {
    Hour {
        amount,
        is_over: false,
    }
}

#[test]
fn an_hour_of_ten_times_the_usual_is_told_before_it_is_over() {
    let days = vec![[9_000, 10_000, 11_000]; 20];
    assert_eq!(pace(&days, running(100_000)), Pace::Faster);
    assert_eq!(pace(&days, running(25_000)), Pace::Usual);
    assert_eq!(Usual::of(&days, MINIMUM).unwrap().amount(), 10_000);
}

#[test]
fn an_hour_that_has_only_begun_is_not_slow() {
    let days = vec![[9_000, 10_000, 11_000]; 20];
    assert_eq!(pace(&days, running(0)), Pace::Usual);
    assert_eq!(pace(&days, over(0)), Pace::Slower);
}

#[test]
fn what_happens_once_a_week_is_usual() {
    let mut days = vec![[2_000, 2_000, 2_000]; 19];
    days.push([2_000, 500_000, 2_000]);
    assert_eq!(pace(&days, over(480_000)), Pace::Usual);
    assert_eq!(pace(&days, over(600_000)), Pace::Faster);
}

#[test]
fn small_amounts_and_new_teams_are_never_told() {
    let mut quiet = vec![[0, 0, 0]; 19];
    quiet.push([0, 1, 0]);
    assert_eq!(pace(&quiet, over(999)), Pace::Usual);
    assert_eq!(pace(&quiet, over(10_000)), Pace::Faster);
    assert_eq!(Usual::of(&[[0, 0, 0]; 20], MINIMUM), None, "never seen");
    let mut new = vec![[5_000; 3]; 4];
    new.extend([[0; 3]; 16]);
    assert_eq!(Usual::of(&new, MINIMUM), None, "since four days");
}

#[test]
fn the_same_hour_is_that_of_the_clock_on_days_of_the_same_kind() {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let at = |text: &str| Wall(text.parse::<Timestamp>().unwrap().as_millisecond());
    // Monday 09:00 in winter; the clocks were set back on 25 October.
    let groups = same_hours(at("2026-11-02T08:00:00Z"), &berlin);
    assert_eq!(groups.len(), 20, "four weeks have twenty working days");
    assert_eq!(groups[0][1], at("2026-10-30T08:00:00Z"));
    assert_eq!(groups.last().unwrap()[1], at("2026-10-05T07:00:00Z"));
    let sunday = same_hours(at("2026-11-01T08:00:00Z"), &berlin);
    assert_eq!(sunday.len(), 8);
}

/// Chance with a known start: SplitMix64 and Box-Muller.
struct Dice(u64);

impl Dice {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (2.0 * std::f64::consts::PI * self.uniform()).cos()
    }
}

/// A team that spends by office hours, each hour straying by `noise` (of its logarithm), each day by 0.2.
/// Hours told faster in the last week, of all of its hours.
fn told(noise: f64, dice: &mut Dice, surge: f64) -> (u32, u32) {
    let start = Wall(1_790_000_000_000 / HOUR_MS * HOUR_MS);
    let count = 35 * 24;
    let mut hours = Vec::with_capacity(count);
    for index in 0..count as i64 {
        let at = start.0 + index * HOUR_MS;
        let local = TimeZone::UTC.to_datetime(Timestamp::from_millisecond(at).unwrap());
        let is_weekend = local.weekday().to_monday_zero_offset() >= 5;
        let busy = if (8..18).contains(&local.hour()) && !is_weekend {
            50_000.0
        } else {
            5_000.0
        };
        hours.push((busy * (noise * dice.normal()).exp()) as u64);
    }
    let amount = |at: Wall| {
        usize::try_from((at.0 - start.0) / HOUR_MS)
            .ok()
            .and_then(|index| hours.get(index).copied())
    };
    let (mut faster, mut all) = (0, 0);
    for (index, amount_now) in hours.iter().enumerate().skip(28 * 24) {
        let at = Wall(start.0 + index as i64 * HOUR_MS);
        // The latest day comes first.
        let days: Vec<[u64; 3]> = same_hours(at, &TimeZone::UTC)
            .into_iter()
            .filter_map(|group| Some([amount(group[0])?, amount(group[1])?, amount(group[2])?]))
            .collect();
        let now = (*amount_now as f64 * surge) as u64;
        all += 1;
        if pace(&days, over(now)) == Pace::Faster {
            faster += 1;
        }
    }
    (faster, all)
}

/// docs/alerts.md states these rates.
#[test]
fn false_alarms_are_rare_and_surges_are_found() {
    let mut dice = Dice(42);
    for (noise, surge, least, most) in [
        // No surge: hours told of 40 weeks, at most.
        (0.3, 1.0, 0.0, 0.000_2),
        (0.6, 1.0, 0.0, 0.000_5),
        // Tenfold spend: share of hours found, at least.
        (0.3, 10.0, 0.85, 1.0),
    ] {
        let (mut faster, mut all) = (0, 0);
        for _ in 0..40 {
            let (of_team, hours) = told(noise, &mut dice, surge);
            faster += of_team;
            all += hours;
        }
        let share = f64::from(faster) / f64::from(all);
        assert!(
            (least..=most).contains(&share),
            "noise {noise}, surge {surge}: {faster} of {all} hours"
        );
    }
}
