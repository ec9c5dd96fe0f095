//! The body of an answer by HTTP/1.1, as it comes in, up to a limit.

use super::error::ProbeError;

/// Of a body that is looked at for a text, no more is read than this.
pub(super) const LIMIT: usize = 64 * 1024;

/// A line that tells how long a chunk is, with its extensions, is no longer.
const LONGEST_SIZE: usize = 1024;

/// What is known of a body's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// There are so many bytes of it.
    Length(u64),
    /// It comes in chunks, the last of which is empty.
    Chunks,
    /// It ends with the connection.
    UntilClosed,
}

/// Where a body in chunks stands.
#[derive(Debug, Clone, Copy)]
enum Chunk {
    Size,
    Data(u64),
    End,
}

/// A body, so far.
#[derive(Debug)]
pub(super) struct Body {
    /// More is not looked at.
    limit: usize,
    framing: Framing,
    chunk: Chunk,
    /// What came of the chunks and was not understood yet.
    pending: Vec<u8>,
    text: Vec<u8>,
    is_whole: bool,
}

impl Body {
    pub(super) fn new(framing: Framing, limit: usize) -> Self {
        Self {
            limit,
            framing,
            chunk: Chunk::Size,
            pending: Vec::new(),
            text: Vec::new(),
            is_whole: framing == Framing::Length(0),
        }
    }

    /// What came of it, without how it was framed.
    pub(super) fn text(&self) -> &[u8] {
        self.text.get(..self.limit).unwrap_or(&self.text)
    }

    /// Whether all of it is here.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Whether more of it came than is looked at.
    pub(super) fn is_too_long(&self) -> bool {
        self.text.len() > self.limit
    }

    /// More came.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), ProbeError> {
        match self.framing {
            Framing::UntilClosed => self.text.extend_from_slice(bytes),
            Framing::Length(length) => {
                self.text.extend_from_slice(bytes);
                let here = u64::try_from(self.text.len()).unwrap_or(u64::MAX);
                if here >= length {
                    self.text
                        .truncate(usize::try_from(length).unwrap_or(self.limit));
                    self.is_whole = true;
                }
            }
            Framing::Chunks => {
                self.pending.extend_from_slice(bytes);
                self.read_chunks()?;
            }
        }
        Ok(())
    }

    fn read_chunks(&mut self) -> Result<(), ProbeError> {
        const NO_HTTP: ProbeError = ProbeError::OtherProtocol("HTTP");
        while !self.is_whole {
            match self.chunk {
                Chunk::Size => match httparse::parse_chunk_size(&self.pending) {
                    Ok(httparse::Status::Complete((_, 0))) => self.is_whole = true,
                    Ok(httparse::Status::Complete((length, size))) => {
                        self.pending.drain(..length);
                        self.chunk = Chunk::Data(size);
                    }
                    Ok(httparse::Status::Partial) if self.pending.len() <= LONGEST_SIZE => break,
                    Ok(httparse::Status::Partial) | Err(_) => return Err(NO_HTTP),
                },
                Chunk::Data(left) => {
                    let count = self
                        .pending
                        .len()
                        .min(usize::try_from(left).unwrap_or(usize::MAX));
                    self.text.extend(self.pending.drain(..count));
                    let left = left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
                    if left > 0 {
                        self.chunk = Chunk::Data(left);
                        break;
                    }
                    self.chunk = Chunk::End;
                }
                Chunk::End => match self.pending.get(..2) {
                    Some(b"\r\n") => {
                        self.pending.drain(..2);
                        self.chunk = Chunk::Size;
                    }
                    Some(_) => return Err(NO_HTTP),
                    None => break,
                },
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Given as a whole, and byte by byte.
    fn read(framing: Framing, bytes: &[u8]) -> Result<Body, ProbeError> {
        let mut whole = Body::new(framing, LIMIT);
        whole.push(bytes)?;
        let mut slow = Body::new(framing, LIMIT);
        for byte in bytes {
            slow.push(&[*byte])?;
        }
        assert_eq!(slow.text(), whole.text());
        assert_eq!(slow.is_whole(), whole.is_whole());
        Ok(whole)
    }

    #[rstest]
    #[case::length(Framing::Length(5), b"ready", b"ready", true)]
    #[case::more_than_its_length(Framing::Length(2), b"ready", b"re", true)]
    #[case::cut_off(Framing::Length(9), b"ready", b"ready", false)]
    #[case::none(Framing::Length(0), b"", b"", true)]
    #[case::closed(Framing::UntilClosed, b"ready", b"ready", false)]
    #[case::chunks(
        Framing::Chunks,
        b"3\r\nrea\r\n2;x=y\r\ndy\r\n0\r\n\r\n",
        b"ready",
        true
    )]
    #[case::chunk_cut_off(Framing::Chunks, b"9\r\nrea", b"rea", false)]
    fn bodies(
        #[case] framing: Framing,
        #[case] bytes: &[u8],
        #[case] text: &[u8],
        #[case] is_whole: bool,
    ) {
        let body = read(framing, bytes).unwrap();
        assert_eq!((body.text(), body.is_whole()), (text, is_whole));
        assert!(!body.is_too_long());
    }

    #[rstest]
    #[case::no_size(b"ready\r\n")]
    #[case::no_end(b"2\r\nready")]
    #[case::beyond_counting(b"fffffffffffffffff\r\n")]
    fn no_chunks(#[case] bytes: &[u8]) {
        assert!(read(Framing::Chunks, bytes).is_err());
    }

    #[test]
    fn an_endless_size_is_none() {
        let mut body = Body::new(Framing::Chunks, LIMIT);
        let endless = std::iter::repeat_n(b"1;xxxxxxxx".as_slice(), 1_000);
        let ends = endless.enumerate().find_map(|(at, part)| {
            let part = if at == 0 { part } else { b"xxxxxxxxxx" };
            body.push(part).is_err().then_some(at)
        });
        assert!(ends.is_some_and(|at| at * 10 <= LONGEST_SIZE));
    }

    #[test]
    fn no_more_than_the_limit_is_looked_at() {
        let mut body = Body::new(Framing::UntilClosed, LIMIT);
        body.push(&vec![b'x'; LIMIT]).unwrap();
        assert!(!body.is_too_long());
        body.push(b"x").unwrap();
        assert!(body.is_too_long());
        assert_eq!(body.text().len(), LIMIT);
    }
}
