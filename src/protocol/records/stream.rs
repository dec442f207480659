//! The shapes of records that come out of a decompressor, read in constant memory: a batch of a few kilobytes
//! may hold gigabytes.

use std::io::{BufRead, BufReader, Read};

use crate::protocol::records::{RecordError, RecordShape};

/// As [`RecordIter`](super::RecordIter), without the contents.
pub struct RecordStream<R> {
    input: BufReader<R>,
    records_left: i32,
    /// Bytes of the current record that are not read yet.
    body_left: u64,
    /// Bytes that all further records may have.
    budget: u64,
    largest_record_bytes: u64,
    failed: bool,
}

impl<R: Read> RecordStream<R> {
    /// `count` is the batch's record count. No record may be larger than `largest_record_bytes`, and all
    /// together no larger than `most_bytes`.
    pub fn new(input: R, count: i32, largest_record_bytes: usize, most_bytes: usize) -> RecordStream<R> {
        RecordStream {
            input: BufReader::new(input),
            records_left: count.max(0),
            body_left: 0,
            budget: most_bytes as u64,
            largest_record_bytes: largest_record_bytes as u64,
            failed: false,
        }
    }

    fn next_record(&mut self) -> Result<RecordShape, RecordError> {
        // The length stands outside the body it measures: at most five bytes.
        self.body_left = 5;
        let length = self.varint().map_err(|error| match error {
            RecordError::BadLength => RecordError::BadVarint,
            other => other,
        })?;
        let length = u64::try_from(length).map_err(|_| RecordError::BadLength)?;
        if length > self.largest_record_bytes {
            return Err(RecordError::TooLarge);
        }
        self.budget = self.budget.checked_sub(length).ok_or(RecordError::TooLarge)?;
        self.body_left = length;
        self.byte()?;
        let timestamp_delta = self.varlong()?;
        let offset_delta = self.varint()?;
        let key_size = self.skip_nullable_bytes()?;
        let value_size = self.skip_nullable_bytes()?;
        let headers = self.varint()?;
        if headers < 0 || headers as u64 > self.body_left {
            return Err(RecordError::BadHeaders);
        }
        for _ in 0..headers {
            if self.skip_nullable_bytes()? < 0 {
                return Err(RecordError::BadHeaders);
            }
            self.skip_nullable_bytes()?;
        }
        if self.body_left > 0 {
            return Err(RecordError::BadLength);
        }
        Ok(RecordShape { timestamp_delta, offset_delta, key_size, value_size })
    }

    fn buffered(&mut self) -> Result<&[u8], RecordError> {
        self.input.fill_buf().map_err(|_| RecordError::BadCompression)
    }

    fn byte(&mut self) -> Result<u8, RecordError> {
        self.body_left = self.body_left.checked_sub(1).ok_or(RecordError::BadLength)?;
        let byte = *self.buffered()?.first().ok_or(RecordError::Truncated)?;
        self.input.consume(1);
        Ok(byte)
    }

    fn raw_varint(&mut self, most_bytes: u32) -> Result<u64, RecordError> {
        let mut value = 0u64;
        for index in 0..most_bytes {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(RecordError::BadVarint)
    }

    fn varint(&mut self) -> Result<i32, RecordError> {
        let value = self.raw_varint(5)? as u32;
        Ok((value >> 1) as i32 ^ -((value & 1) as i32))
    }

    fn varlong(&mut self) -> Result<i64, RecordError> {
        let value = self.raw_varint(10)?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// The size that was skipped, -1 for null.
    fn skip_nullable_bytes(&mut self) -> Result<i64, RecordError> {
        let Ok(size) = u64::try_from(self.varint()?) else { return Ok(-1) };
        self.body_left = self.body_left.checked_sub(size).ok_or(RecordError::BadLength)?;
        let mut left = size;
        while left > 0 {
            let available = self.buffered()?.len() as u64;
            if available == 0 {
                return Err(RecordError::Truncated);
            }
            let step = available.min(left);
            self.input.consume(step as usize);
            left -= step;
        }
        Ok(size as i64)
    }

    fn is_at_end(&mut self) -> Result<bool, RecordError> {
        Ok(self.buffered()?.is_empty())
    }
}

impl<R: Read> Iterator for RecordStream<R> {
    type Item = Result<RecordShape, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        if self.records_left == 0 {
            // Asked once: what follows the last record must be nothing.
            self.failed = true;
            return match self.is_at_end() {
                Ok(true) => None,
                Ok(false) => Some(Err(RecordError::TrailingBytes)),
                Err(error) => Some(Err(error)),
            };
        }
        self.records_left -= 1;
        let record = self.next_record();
        self.failed = record.is_err();
        Some(record)
    }
}
