//! Builds requests of the git protocol, packet by packet.

use gix_packetline::blocking_io::encode;

/// A request under construction. Its parts are pp-fetcher's own and short, so encoding cannot fail; if a part
/// were too long after all, it would be left out and the server would refuse the request.
#[derive(Debug, Default)]
pub(crate) struct Request(Vec<u8>);

impl Request {
    /// Adds a text packet with `text` and a newline.
    pub(crate) fn line(&mut self, text: &str) -> &mut Self {
        let _ = encode::text_to_write(text.as_bytes(), &mut self.0);
        self
    }

    /// Adds the border between capabilities and arguments of a version 2 command.
    pub(crate) fn delimiter(&mut self) -> &mut Self {
        let _ = encode::delim_to_write(&mut self.0);
        self
    }

    /// Adds the end of a message.
    pub(crate) fn flush(&mut self) -> &mut Self {
        let _ = encode::flush_to_write(&mut self.0);
        self
    }

    /// Returns the encoded bytes of the request.
    #[must_use]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}
