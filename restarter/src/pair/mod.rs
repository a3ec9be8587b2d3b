//! The messages between the front and the monitor. They have a fixed size, go over a socket pair, and hold
//! numbers in little-endian. No byte of a client is in any of them.
//!
//! The front sends an [`Order`]: a number of its own, a verb, and a unit by its index. The monitor
//! sends [`MonitorReply`]s: the result of an order, or that it is time to stop. Before the first
//! reply the monitor sends the policy ([`handover`]), so that both processes number the units alike.

pub(crate) mod handover;
mod of_front;

use std::time::Duration;

use pp_protocol::{Report, Verb};

/// Number of bytes of an encoded [`Order`].
pub const ORDER: usize = 13;

/// The message with which the front asks, before it accepts a connection, whether its policy is still the
/// one on disk. The monitor's reply is [`MonitorReply::Current`] or [`MonitorReply::Drain`].
pub const IS_CURRENT: [u8; ORDER] = [u8::MAX - 2; ORDER];

/// Number of bytes of an encoded [`MonitorReply`].
pub const REPLY: usize = 113;

/// Longest `sub` and `result` of a [`Report`] that fit into a reply, in bytes.
const STATE: usize = 24;

const VERBS: [Verb; 3] = Verb::ALL;

/// The message that the front sends in place of an [`Order`] when it leaves as intended: because it is idle,
/// or was told to drain. If the pair ends without this message, the front has crashed. No order has the same
/// bytes, as there is no verb of this number.
pub const LEAVE: [u8; ORDER] = [u8::MAX - 1; ORDER];

/// The front's message that asks the monitor to do a verb to a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// The front's number for the order; it comes back in the monitor's replies to the order.
    pub id: u64,
    /// The unit's index in the policy.
    pub unit: u32,
    /// What to do to the unit.
    pub verb: Verb,
}

/// A message from the monitor to the front. The first field, if any, is the [`Order::id`] it replies to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MonitorReply {
    /// The order was carried out, or at least tried, with this result.
    Finished(u64, Report),
    /// The order is within the unit's limit and is being carried out; [`Self::Finished`] follows.
    Accepted(u64),
    /// The order was not carried out, because of the unit's limit or because the monitor begins nothing now.
    /// The caller may ask again after this time.
    Busy(u64, Duration),
    /// The front is to accept no more connections, finish what is under way, then exit.
    Drain,
    /// The front's policy is still the one on disk: the front may accept a connection.
    Current,
}

impl Order {
    /// Decodes an order; returns `None` if the verb's number is not that of a verb.
    #[must_use]
    pub fn decode(bytes: &[u8; ORDER]) -> Option<Self> {
        let mut rest = FrameReader(bytes);
        Some(Self {
            id: u64::from_le_bytes(rest.take()?),
            unit: u32::from_le_bytes(rest.take()?),
            verb: rest.number(&VERBS)?,
        })
    }
}

impl MonitorReply {
    /// Encodes the reply as bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; REPLY] {
        let mut out = FrameWriter(Vec::with_capacity(REPLY));
        match self {
            Self::Drain => out.put(&[0]),
            Self::Current => out.put(&[3]),
            Self::Accepted(id) => {
                out.put(&[4]);
                out.put(&id.to_le_bytes());
            }
            Self::Busy(id, after) => {
                out.put(&[1]);
                out.put(&id.to_le_bytes());
                out.put(&millis(*after).to_le_bytes());
            }
            Self::Finished(id, report) => {
                out.put(&[2]);
                out.put(&id.to_le_bytes());
                out.put(&report.elapsed_ms.to_le_bytes());
                let refusal = report.refusal.map_or(0, |refusal| refusal as u8 + 1);
                out.put(&[report.job as u8, refusal, report.active as u8]);
                out.put(&[u8::from(report.needs_daemon_reload)]);
                out.put(&report.main_pid.to_le_bytes());
                out.put(&report.invocation_before);
                out.put(&report.invocation);
                out.word(&report.sub);
                out.word(&report.result);
            }
        }
        out.fixed()
    }
}

/// Returns a time in whole milliseconds, rounded up so that a short wait does not become none.
#[must_use]
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)
}

struct FrameWriter(Vec<u8>);

impl FrameWriter {
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Appends `text`: its graphic ASCII characters only, cut to [`STATE`] bytes or filled up with zeros.
    fn word(&mut self, text: &str) {
        let mut field = [0; STATE];
        let good = text.bytes().filter(u8::is_ascii_graphic);
        field.iter_mut().zip(good).for_each(|(to, from)| *to = from);
        self.put(&field);
    }

    fn fixed<const N: usize>(mut self) -> [u8; N] {
        self.0.resize(N, 0);
        self.0.try_into().unwrap_or([0; N])
    }
}

struct FrameReader<'a>(&'a [u8]);

impl FrameReader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    fn number<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        let [place] = self.take()?;
        all.get(usize::from(place)).copied()
    }
}
