//! What the bridge holds: messages that wait for the stream, and those whose acknowledgement is awaited.
//!
//! Of each device one message at most is on its way. So whatever fails and is sent again, a device's messages are stored in
//! the order in which they came, while those of other devices go on.

use std::collections::{HashMap, VecDeque};

use super::parcel::Parcel;

/// The messages, by device.
#[derive(Debug, Default)]
pub(super) struct Hold {
    /// Each one's in their order; the first may be on its way.
    devices: HashMap<u64, VecDeque<Parcel>>,
    /// Devices of which none is on its way.
    ready: VecDeque<u64>,
    held: usize,
    bytes: usize,
}

impl Hold {
    /// One more.
    pub(super) fn push(&mut self, parcel: Parcel) {
        self.held += 1;
        self.bytes += parcel.size();
        let device = parcel.device();
        let queue = self.devices.entry(device).or_default();
        if queue.is_empty() {
            self.ready.push_back(device);
        }
        queue.push_back(parcel);
    }

    /// The next to be sent, and its device, by which it is named from then on: it is on its way.
    pub(super) fn next(&mut self) -> Option<(u64, &Parcel)> {
        let device = self.ready.pop_front()?;
        Some((device, self.devices.get(&device)?.front()?))
    }

    /// The one of this device that was on its way has arrived, or is given up.
    pub(super) fn done(&mut self, device: u64) -> Option<Parcel> {
        let queue = self.devices.get_mut(&device)?;
        let parcel = queue.pop_front()?;
        if queue.is_empty() {
            self.devices.remove(&device);
        } else {
            self.ready.push_back(device);
        }
        self.held -= 1;
        self.bytes -= parcel.size();
        Some(parcel)
    }

    /// The one of this device that was on its way has not arrived, and is the next again.
    pub(super) fn again(&mut self, device: u64) {
        self.ready.push_front(device);
    }

    /// None is on its way any more.
    pub(super) fn all_again(&mut self) {
        self.ready = self.devices.keys().copied().collect();
    }

    /// How many are on their way.
    pub(super) fn on_the_way(&self) -> usize {
        self.devices.len() - self.ready.len()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.held
    }

    /// Their bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// All of them, each device's in its order.
    pub(super) fn into_all(self) -> impl Iterator<Item = Parcel> {
        self.devices.into_values().flatten()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::parcel::Settle;
    use super::*;

    fn parcel(device: &str, number: u8) -> Parcel {
        let subject = format!("things.app.{device}.up").into();
        Parcel { subject, id: None, payload: Bytes::copy_from_slice(&[number]), settle: Settle::Nobody }
    }

    /// The number of the next, and its device.
    fn next(hold: &mut Hold) -> Option<(u8, u64)> {
        hold.next().map(|(device, parcel)| (parcel.payload[0], device))
    }

    #[test]
    fn a_device_has_one_on_its_way_and_others_go_on() {
        let mut hold = Hold::default();
        for (device, number) in [("a", 1), ("a", 2), ("b", 3), ("a", 4)] {
            hold.push(parcel(device, number));
        }
        let (first, other) = (next(&mut hold).unwrap(), next(&mut hold).unwrap());
        assert_eq!((first.0, other.0), (1, 3));
        assert!(hold.next().is_none());
        assert_eq!((hold.len(), hold.on_the_way()), (4, 2));
        hold.done(first.1);
        assert_eq!(next(&mut hold).unwrap().0, 2);
        hold.done(other.1);
        assert_eq!((hold.len(), hold.on_the_way()), (2, 1));
    }

    #[test]
    fn what_fails_is_the_next_of_its_device() {
        let mut hold = Hold::default();
        hold.push(parcel("a", 1));
        hold.push(parcel("a", 2));
        let (_, device) = next(&mut hold).unwrap();
        hold.again(device);
        assert_eq!(next(&mut hold).unwrap().0, 1);
        hold.all_again();
        assert_eq!((next(&mut hold).unwrap().0, hold.on_the_way()), (1, 1));
        hold.done(device);
        assert_eq!(next(&mut hold).unwrap().0, 2);
        hold.done(device);
        assert_eq!((hold.len(), hold.bytes(), hold.on_the_way()), (0, 0, 0));
        hold.push(parcel("a", 3));
        assert_eq!(next(&mut hold).unwrap().0, 3);
    }

    #[test]
    fn all_come_out_in_each_devices_order() {
        let mut hold = Hold::default();
        for (device, number) in [("a", 1), ("b", 2), ("a", 3), ("b", 4), ("c", 5)] {
            hold.push(parcel(device, number));
        }
        next(&mut hold).unwrap();
        let all: Vec<u8> = hold.into_all().map(|parcel| parcel.payload[0]).collect();
        let place = |number| all.iter().position(|one| *one == number).unwrap();
        assert!(all.len() == 5 && place(1) < place(3) && place(2) < place(4), "{all:?}");
    }
}
