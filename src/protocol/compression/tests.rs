use super::*;

const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

fn sample() -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(7);
    (0..200_000).map(|index| if index % 3 == 0 { rng.u8(..) } else { b'x' }).collect()
}

#[test]
fn what_is_compressed_comes_back() {
    for codec in CODECS {
        for bytes in [sample(), Vec::new(), b"a".to_vec()] {
            let compressed = compress(codec, Level::DEFAULT, &bytes);
            assert_eq!(decompress(codec, &compressed, bytes.len()), Ok(bytes), "{codec:?}");
        }
    }
}

#[test]
fn output_beyond_the_limit_is_refused() {
    for codec in CODECS {
        let bytes = sample();
        let compressed = compress(codec, Level::DEFAULT, &bytes);
        let limit = bytes.len() - 1;
        let result = decompress(codec, &compressed, limit);
        assert_eq!(result, Err(DecompressError::TooLarge { limit }), "{codec:?}");
    }
}

#[test]
fn a_cut_stream_is_corrupt() {
    for codec in [Compression::Gzip, Compression::Zstd] {
        let compressed = compress(codec, Level::DEFAULT, &sample()[..2_000]);
        for end in 1..compressed.len() {
            let result = decompress(codec, &compressed[..end], 10_000);
            assert!(matches!(result, Err(DecompressError::Corrupt(_))), "{codec:?} cut at {end}");
        }
    }
}

/// The LZ4 decoder takes a cut header for an empty stream and forgives a missing end mark.
#[test]
fn a_cut_lz4_frame_gives_nothing_or_everything() {
    let plain = &sample()[..2_000];
    let compressed = compress(Compression::Lz4, Level::DEFAULT, plain);
    for end in 1..compressed.len() {
        match decompress(Compression::Lz4, &compressed[..end], 10_000) {
            Ok(bytes) => assert!(bytes.is_empty() || bytes == plain, "cut at {end}"),
            Err(error) => assert_eq!(error, DecompressError::Corrupt(Compression::Lz4)),
        }
    }
}

#[test]
fn changed_bytes_never_panic() {
    let mut rng = fastrand::Rng::with_seed(11);
    for codec in CODECS {
        let compressed = compress(codec, Level::DEFAULT, &sample()[..2_000]);
        for _ in 0..3_000 {
            let mut bytes = compressed.clone();
            for _ in 0..rng.usize(1..4) {
                let position = rng.usize(..bytes.len());
                bytes[position] = rng.u8(..);
            }
            let _ = decompress(codec, &bytes, 10_000);
        }
    }
}

#[test]
fn a_snappy_block_that_claims_gigabytes_is_refused_at_once() {
    // The varint length of a raw block: 2^32 - 1.
    let block = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0];
    assert_eq!(
        decompress(Compression::Snappy, &block, usize::MAX >> 1),
        Err(DecompressError::Corrupt(Compression::Snappy))
    );
}

#[test]
fn raw_snappy_is_accepted() {
    let raw = snap::raw::Encoder::new().compress_vec(b"hello hello hello").unwrap();
    assert_eq!(decompress(Compression::Snappy, &raw, 100).as_deref(), Ok(b"hello hello hello".as_slice()));
}

#[test]
fn concatenated_streams_are_one() {
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Zstd] {
        let mut bytes = compress(codec, Level::DEFAULT, b"one ");
        bytes.extend(compress(codec, Level::DEFAULT, b"two"));
        assert_eq!(decompress(codec, &bytes, 100).as_deref(), Ok(b"one two".as_slice()), "{codec:?}");
    }
}

#[test]
fn a_bomb_costs_no_more_than_the_limit() {
    let bytes = vec![0; 64 << 20];
    for codec in [Compression::Gzip, Compression::Zstd] {
        let compressed = compress(codec, Level::DEFAULT, &bytes);
        let result = decompress(codec, &compressed, 1 << 20);
        assert_eq!(result, Err(DecompressError::TooLarge { limit: 1 << 20 }), "{codec:?}");
    }
}
