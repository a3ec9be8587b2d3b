//! The front's half of the messages: encodes orders and decodes the monitor's replies. The monitor runs none
//! of this code.

use std::time::Duration;

use pp_protocol::{ActiveState, JobResult, Refusal, Report};

use super::{FrameReader, FrameWriter, MonitorReply, ORDER, Order, REPLY, STATE};

// Each list is in the order of its enum's variants, whose numbers are the bytes sent. In `REFUSALS` the number 0
// means that there is no refusal, so that the variants' numbers are one higher.
const JOBS: [JobResult; 9] = [
    JobResult::Done,
    JobResult::Canceled,
    JobResult::Timeout,
    JobResult::Failed,
    JobResult::Dependency,
    JobResult::Skipped,
    JobResult::Other,
    JobResult::Unknown,
    JobResult::None,
];
const REFUSALS: [Option<Refusal>; 11] = [
    None,
    Some(Refusal::NoSuchUnit),
    Some(Refusal::Masked),
    Some(Refusal::Alias),
    Some(Refusal::BadSetting),
    Some(Refusal::ManualRefused),
    Some(Refusal::NotApplicable),
    Some(Refusal::Unreachable),
    Some(Refusal::Other),
    Some(Refusal::StopUnderWay),
    Some(Refusal::ShuttingDown),
];
const STATES: [ActiveState; 7] = [
    ActiveState::Active,
    ActiveState::Reloading,
    ActiveState::Inactive,
    ActiveState::Failed,
    ActiveState::Activating,
    ActiveState::Deactivating,
    ActiveState::Unknown,
];

impl Order {
    /// Encodes the order as bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; ORDER] {
        let mut out = FrameWriter(Vec::with_capacity(ORDER));
        out.put(&self.id.to_le_bytes());
        out.put(&self.unit.to_le_bytes());
        out.put(&[self.verb as u8]);
        out.fixed()
    }
}

impl MonitorReply {
    /// Decodes a reply of the monitor; returns `None` if the bytes are not a valid reply.
    #[must_use]
    pub fn decode(bytes: &[u8; REPLY]) -> Option<Self> {
        let mut rest = FrameReader(bytes);
        let [kind] = rest.take()?;
        match kind {
            0 => return Some(Self::Drain),
            3 => return Some(Self::Current),
            _ => {}
        }
        let id = u64::from_le_bytes(rest.take()?);
        if kind == 4 {
            return Some(Self::Accepted(id));
        }
        let millis = u64::from_le_bytes(rest.take()?);
        if kind == 1 {
            return Some(Self::Busy(id, Duration::from_millis(millis)));
        }
        let report = Report {
            elapsed_ms: millis,
            job: rest.number(&JOBS)?,
            refusal: rest.number(&REFUSALS)?,
            active: rest.number(&STATES)?,
            needs_daemon_reload: rest.take()? == [1],
            main_pid: u32::from_le_bytes(rest.take()?),
            invocation_before: rest.take()?,
            invocation: rest.take()?,
            sub: rest.word()?,
            result: rest.word()?,
        };
        (kind == 2).then_some(Self::Finished(id, report))
    }
}

impl FrameReader<'_> {
    fn word(&mut self) -> Option<String> {
        let field: [u8; STATE] = self.take()?;
        let text: Vec<u8> = field.into_iter().take_while(|b| *b != 0).collect();
        String::from_utf8(text).ok()
    }
}

#[cfg(test)]
mod tests;
