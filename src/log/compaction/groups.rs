//! Which neighbouring segments are cleaned into one, so that segments that shrink do not stay many. Pure. Kafka:
//! `Cleaner.groupSegmentsBySize`.

use std::ops::Range;

use crate::protocol::ids::Offset;

/// What counts of a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub base_offset: Offset,
    pub size_bytes: u64,
    pub offset_index_bytes: u64,
    pub time_index_bytes: u64,
}

/// What a segment may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// `segment.bytes`
    pub segment_bytes: u64,
    /// `segment.index.bytes`
    pub index_bytes: u64,
    /// Where the last segment ends at most.
    pub end_offset: Offset,
}

/// A swap renames all files of a group while appends wait.
const MOST_GROUPED_SEGMENTS: usize = 100;

/// Ranges of `segments` that become one segment each.
pub(super) fn group(segments: &[Extent], limits: Limits) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let mut start = 0;
    while start < segments.len() {
        let mut end = start + 1;
        let mut total = segments[start];
        while end < segments.len()
            && end - start < MOST_GROUPED_SEGMENTS
            && fits(&total, segments, end, limits)
        {
            total.size_bytes += segments[end].size_bytes;
            total.offset_index_bytes += segments[end].offset_index_bytes;
            total.time_index_bytes += segments[end].time_index_bytes;
            end += 1;
        }
        groups.push(start..end);
        start = end;
    }
    groups
}

fn fits(total: &Extent, segments: &[Extent], next: usize, limits: Limits) -> bool {
    let segment = &segments[next];
    let end_offset = segments.get(next + 1).map_or(limits.end_offset, |after| after.base_offset);
    // Without bytes there is no offset to number.
    let is_in_reach = segment.size_bytes == 0 || end_offset + -1 - total.base_offset <= i64::from(i32::MAX);
    total.size_bytes + segment.size_bytes <= limits.segment_bytes
        && total.offset_index_bytes + segment.offset_index_bytes <= limits.index_bytes
        && total.time_index_bytes + segment.time_index_bytes <= limits.index_bytes
        && is_in_reach
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(segments: &[(i64, u64, u64)], expected: &[Range<usize>]) {
        let extent = |&(base_offset, size_bytes, index_bytes): &(i64, u64, u64)| Extent {
            base_offset: Offset(base_offset),
            size_bytes,
            offset_index_bytes: index_bytes,
            time_index_bytes: index_bytes / 2,
        };
        let segments: Vec<Extent> = segments.iter().map(extent).collect();
        let end_offset = segments.last().map_or(Offset(0), |last| last.base_offset + 10);
        let limits = Limits { segment_bytes: 100, index_bytes: 40, end_offset };
        assert_eq!(group(&segments, limits), expected);
    }

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "groups are ranges")]
    fn neighbours_join_while_bytes_indexes_and_offsets_fit() {
        check(&[], &[]);
        check(&[(0, 100, 8), (10, 60, 8), (20, 40, 8), (30, 1, 8)], &[0..1, 1..3, 3..4]);
        check(&[(0, 1, 16), (10, 1, 16), (20, 1, 16)], &[0..2, 2..3]);
        check(&[(0, 500, 8), (10, 1, 8)], &[0..1, 1..2]);
        let far = i64::from(i32::MAX);
        check(&[(0, 1, 0), (far - 9, 1, 0)], &[0..2]);
        check(&[(0, 1, 0), (far - 8, 1, 0)], &[0..1, 1..2]);
        check(&[(0, 1, 0), (far + 100, 0, 0)], &[0..2]);
    }

    #[test]
    fn a_group_has_a_bounded_number_of_files() {
        let segments: Vec<(i64, u64, u64)> = (0..150).map(|index| (index, 0, 0)).collect();
        check(&segments, &[0..100, 100..150]);
    }
}
