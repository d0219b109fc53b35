//! A direction in eight bits a component.

/// Each component as a whole number from -127 to 127, the largest one scaled to 127, and the length of what
/// that leaves. Quantised vectors are compared by their own cosine, so one is always exactly like itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Vector {
    pub(super) codes: Box<[i8]>,
    /// One over the length of `codes`.
    pub(super) shrink: f32,
    /// The length of what stands behind the first [`lead`], as a share of the whole.
    pub(super) rest: f32,
    /// A bit for each component that is positive: a first look at how near two vectors may be.
    pub(super) signs: Box<[u64]>,
}

impl Vector {
    /// `None` where there is no direction: no components, zeros only, or what is no number.
    pub fn of(embedding: &[f32]) -> Option<Self> {
        let largest = embedding
            .iter()
            .fold(0.0f32, |largest, component| largest.max(component.abs()));
        let is_usable = largest > 0.0 && embedding.iter().all(|component| component.is_finite());
        if !is_usable {
            return None;
        }
        let codes: Box<[i8]> = embedding
            .iter()
            .map(|component| (f64::from(*component) / f64::from(largest) * 127.0).round() as i8)
            .collect();
        Some(Self::from_codes(codes))
    }

    /// As they were stored. At least one of them is not zero.
    pub(crate) fn from_codes(codes: Box<[i8]>) -> Self {
        let square: f64 = codes.iter().map(|code| f64::from(*code).powi(2)).sum();
        let mut signs = vec![0; codes.len().div_ceil(64)];
        for (place, code) in codes.iter().enumerate() {
            signs[place / 64] |= u64::from(*code > 0) << (place % 64);
        }
        let (_, rest) = codes.split_at(lead(codes.len()));
        let rest: f64 = rest.iter().map(|code| f64::from(*code).powi(2)).sum();
        Self {
            shrink: (1.0 / square.max(1.0).sqrt()) as f32,
            rest: (rest / square.max(1.0)).sqrt() as f32,
            signs: signs.into(),
            codes,
        }
    }

    pub(crate) fn codes(&self) -> &[i8] {
        &self.codes
    }

    pub fn dimensions(&self) -> usize {
        self.codes.len()
    }

    /// The cosine of both. `None` if they have not as many dimensions.
    pub fn similarity(&self, other: &Self) -> Option<f32> {
        if self.codes.len() != other.codes.len() {
            return None;
        }
        let dot = super::scan::dot(&self.codes, &other.codes);
        Some((dot as f32 * self.shrink * other.shrink).min(1.0))
    }

    /// How far the cosine of two quantised vectors may be from that of the vectors themselves, in the worst
    /// case for this one and `other`. Text embeddings of 384 dimensions come to some 0.03; what is seen is a
    /// tenth of that, because errors of components cancel out.
    pub fn error_at_most(&self, other: &Self) -> f32 {
        // Rounding moves each component by half a unit at most, so the vector by half a unit times the root
        // of the dimensions: its direction turns by no more than the arc sine of that over its length. A
        // cosine changes by no more than its angle does.
        let turn = |vector: &Self| {
            let moved = 0.5 * (vector.codes.len() as f32).sqrt();
            (moved * vector.shrink).min(1.0).asin()
        };
        turn(self) + turn(other)
    }

    /// In the index, with the room that a growing block keeps free.
    pub(crate) fn bytes(dimensions: usize) -> usize {
        let exact = dimensions + dimensions.div_ceil(64) * 8 + 2 * 4 + 8;
        exact + exact / 4
    }
}

/// How many components are compared of every vector: about a third. Most vectors are too far by these already,
/// whatever the others are.
pub(super) fn lead(dimensions: usize) -> usize {
    dimensions / 3 / 64 * 64
}
