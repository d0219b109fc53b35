//! What an image costs, by OpenAI's published rules ("Images and vision", calculating costs; Azure
//! documents the same figures).
//!
//! Tiles: an image is fitted into 2048 × 2048, then its shorter side into 768; each 512 × 512 tile
//! of it costs `tile`, on top of `base`; low detail costs `base` alone. 2048 × 768 is 4 × 2 tiles,
//! so no image has more than eight: 85 + 8 × 170 = 1445 for gpt-4o.
//! Patches: 32 × 32 each, the image shrunk until 1536 cover it, times a factor of the model.

mod pixels;

use crate::json::Json;
use pixels::Pixels;

const TILES_MAX: u64 = 8;
const PATCHES_MAX: u64 = 1536;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ImageRule {
    Tiles { base: u64, tile: u64 },
    Patches { hundredths: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    Low,
    /// Also `auto`: what it decides is not known beforehand.
    High,
}

/// By a part of the model's name, so that `team-gpt-4o-mini` is known too; the first that fits wins.
/// What fits none goes by the last, which most models share.
const RULES: [(&str, ImageRule); 12] = [
    (
        "4o-mini",
        ImageRule::Tiles {
            base: 2833,
            tile: 5667,
        },
    ),
    ("4.1-mini", ImageRule::Patches { hundredths: 162 }),
    ("4.1-nano", ImageRule::Patches { hundredths: 246 }),
    ("gpt-5-mini", ImageRule::Patches { hundredths: 162 }),
    ("gpt-5-nano", ImageRule::Patches { hundredths: 246 }),
    ("o4-mini", ImageRule::Patches { hundredths: 172 }),
    (
        "computer-use",
        ImageRule::Tiles {
            base: 65,
            tile: 129,
        },
    ),
    (
        "gpt-5",
        ImageRule::Tiles {
            base: 70,
            tile: 140,
        },
    ),
    (
        "gpt-4",
        ImageRule::Tiles {
            base: 85,
            tile: 170,
        },
    ),
    (
        "o1",
        ImageRule::Tiles {
            base: 75,
            tile: 150,
        },
    ),
    (
        "o3",
        ImageRule::Tiles {
            base: 75,
            tile: 150,
        },
    ),
    (
        "",
        ImageRule::Tiles {
            base: 85,
            tile: 170,
        },
    ),
];

impl ImageRule {
    pub(super) fn of_model(model: &str) -> Self {
        let known = RULES.iter().find(|(part, _)| model.contains(part));
        known.map_or(
            Self::Tiles {
                base: 85,
                tile: 170,
            },
            |&(_, rule)| rule,
        )
    }

    /// What an image of unknown size costs at most.
    pub(super) fn tokens_max(self, detail: Detail) -> u64 {
        match (self, detail) {
            (Self::Tiles { base, .. }, Detail::Low) => base,
            (Self::Tiles { base, tile }, Detail::High) => base + TILES_MAX * tile,
            (Self::Patches { hundredths }, Detail::Low | Detail::High) => {
                scaled(PATCHES_MAX, hundredths)
            }
        }
    }

    /// What the image of a content part costs: exact if it is inline and its header says its size.
    pub(super) fn tokens(self, image: Json<'_>) -> u64 {
        let detail = Detail::of(image);
        let url = image.get("url").unwrap_or(image).text();
        let Some(pixels) = url.as_deref().and_then(Pixels::of) else {
            return self.tokens_max(detail);
        };
        match (self, detail) {
            (Self::Tiles { base, .. }, Detail::Low) => base,
            (Self::Tiles { base, tile }, Detail::High) => base + tiles(pixels) * tile,
            (Self::Patches { hundredths }, Detail::Low | Detail::High) => {
                scaled(patches(pixels), hundredths)
            }
        }
    }
}

impl Detail {
    pub(super) fn of(image: Json<'_>) -> Self {
        match image.get("detail").and_then(Json::text).as_deref() {
            Some("low") => Self::Low,
            _ => Self::High,
        }
    }
}

fn scaled(patches: u64, hundredths: u64) -> u64 {
    (patches * hundredths).div_ceil(100)
}

fn tiles(Pixels { width, height }: Pixels) -> u64 {
    let (mut long, mut short) = (width.max(height), width.min(height));
    if long > 2048 {
        (long, short) = (2048, (short * 2048 / long).max(1));
    }
    if short > 768 {
        (long, short) = (long * 768 / short, 768);
    }
    (long.div_ceil(512) * short.div_ceil(512)).min(TILES_MAX)
}

fn patches(Pixels { width, height }: Pixels) -> u64 {
    let count = width.div_ceil(32) * height.div_ceil(32);
    if count <= PATCHES_MAX {
        return count;
    }
    // Shrunk so that 1536 patches cover it, then a little more so that one side is whole patches.
    let (width, height) = (width as f64 / 32.0, height as f64 / 32.0);
    let shrink = (PATCHES_MAX as f64 / (width * height)).sqrt();
    let (across, down) = (width * shrink, height * shrink);
    let fit = (across.floor().max(1.0) / across).min(down.floor().max(1.0) / down);
    (((across * fit).ceil() * (down * fit).ceil()) as u64).clamp(1, PATCHES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GPT_4O: ImageRule = ImageRule::Tiles {
        base: 85,
        tile: 170,
    };

    fn pixels(width: u64, height: u64) -> Pixels {
        Pixels { width, height }
    }

    #[test]
    fn the_examples_of_the_published_rules_hold() {
        assert_eq!(85 + 170 * tiles(pixels(1024, 1024)), 765);
        assert_eq!(85 + 170 * tiles(pixels(2048, 4096)), 1105);
        assert_eq!(85 + 170 * tiles(pixels(512, 512)), 255);
        assert_eq!(patches(pixels(1024, 1024)), 1024);
        assert_eq!(patches(pixels(1800, 2400)), 1452);
    }

    #[test]
    fn the_highest_cost_is_eight_tiles() {
        assert_eq!(GPT_4O.tokens_max(Detail::High), 1445);
        assert_eq!(85 + 170 * tiles(pixels(5461, 2048)), 1445);
        assert_eq!(GPT_4O.tokens_max(Detail::Low), 85);
    }

    #[test]
    fn models_have_their_own_figures() {
        assert_eq!(
            ImageRule::of_model("gpt-4o-mini").tokens_max(Detail::High),
            2833 + 8 * 5667
        );
        assert_eq!(
            ImageRule::of_model("gpt-4.1-mini").tokens_max(Detail::High),
            2489
        );
        assert_eq!(
            ImageRule::of_model("o1-2024-12-17").tokens_max(Detail::High),
            75 + 8 * 150
        );
        assert_eq!(ImageRule::of_model("gpt-5.1").tokens_max(Detail::Low), 70);
        assert_eq!(ImageRule::of_model("our-chat"), GPT_4O);
    }

    proptest! {
        #[test]
        fn no_image_costs_more_than_the_highest(width in 1u64..=u64::from(u32::MAX), height in 1u64..=u64::from(u32::MAX)) {
            prop_assert!(tiles(pixels(width, height)) <= TILES_MAX);
            prop_assert!(patches(pixels(width, height)) <= PATCHES_MAX);
        }
    }
}
