//! Reading, listing and deleting devices (V3 3.4.6, 3.4.7, 3.4.9).

use super::masks::{APPLICATION, APPLICATION_KEYS, IDENTITY, JOIN_KEYS, NETWORK, NETWORK_KEYS};
use super::part::{Device, Part};
use super::{Stack, mask};
use crate::client::managed::{code_of, tolerate_absence};
use crate::error::{Error, Result, RpcCode};
use crate::rpc::message::elements;
use crate::rpc::proto::v3;
use bytes::Bytes;
use prost::Message as _;

/// Devices in one page of a list.
const PAGE: u64 = 1000;

/// What becomes of a device's keys where the API key may not read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keys {
    /// They are left out.
    IfAllowed,
    /// That is an error.
    Needed,
}

impl Stack {
    /// Read a device from all servers.
    ///
    /// # Errors
    /// What the Identity Server says, and what the others say but that they do not have it or may not tell.
    pub async fn device(&self, dev_id: &str) -> Result<Device> {
        self.complete(self.identity_part(dev_id).await?).await
    }

    /// What the Identity Server has of a device.
    pub(super) async fn identity_part(&self, dev_id: &str) -> Result<Part> {
        let request =
            v3::GetEndDeviceRequest { end_device_ids: Some(self.device_ids(dev_id)), field_mask: mask(IDENTITY) };
        Part::read(self.reply("EndDeviceRegistry", "Get", &request).await?.message)
    }

    /// Read the rest of a device that was listed.
    ///
    /// # Errors
    /// As [`Stack::device`].
    pub async fn complete(&self, identity: Part) -> Result<Device> {
        self.read(identity, Keys::IfAllowed).await
    }

    /// Read a device of which nothing may be missing.
    pub(super) async fn whole_device(&self, dev_id: &str) -> Result<Device> {
        self.read(self.identity_part(dev_id).await?, Keys::Needed).await
    }

    async fn read(&self, identity: Part, keys: Keys) -> Result<Device> {
        let ids = identity.ids();
        let joins = !ids.dev_eui.is_empty() && !ids.join_eui.is_empty();
        let part = |service, paths, of_keys| self.part(service, &ids, (paths, of_keys), keys);
        let join = async { if joins { part("JsEndDeviceRegistry", &[], &JOIN_KEYS).await } else { Ok(None) } };
        let (network, application, join) = tokio::join!(
            part("NsEndDeviceRegistry", &NETWORK, &NETWORK_KEYS),
            part("AsEndDeviceRegistry", &APPLICATION, &APPLICATION_KEYS),
            join,
        );
        Ok(Device { identity, network: network?, application: application?, join: join? })
    }

    /// What another server has of a device: without the keys if this key may not read them, nothing if it has nothing.
    async fn part(
        &self,
        service: &str,
        ids: &v3::EndDeviceIdentifiers,
        (paths, of_keys): (&[&str], &[&str]),
        keys: Keys,
    ) -> Result<Option<Part>> {
        let both: Vec<&str> = paths.iter().chain(of_keys).copied().collect();
        for paths in [both.as_slice(), paths] {
            if paths.is_empty() {
                break;
            }
            let field_mask = mask(paths.iter().copied());
            let request = v3::GetEndDeviceRequest { end_device_ids: Some(ids.clone()), field_mask };
            match self.reply(service, "Get", &request).await {
                Ok(reply) => return Part::read(reply.message).map(Some),
                Err(error) => match code_of(&error) {
                    Some(RpcCode::NotFound) => return Ok(None),
                    Some(RpcCode::PermissionDenied) if keys == Keys::IfAllowed => {}
                    _ => return Err(error),
                },
            }
        }
        Ok(None)
    }

    /// List the devices by their IDs, all or a part of them, as the Identity Server has them; and how many there are, if it
    /// says that.
    ///
    /// # Errors
    /// What the server says.
    pub async fn devices(&self, limit: Option<u64>, offset: u64) -> Result<(Vec<Part>, Option<u64>)> {
        if limit == Some(0) {
            return self.page(1, 1).await.map(|(_, total)| (Vec::new(), total));
        }
        // A page of the server's where it is one, the pages that have it all otherwise.
        let size = limit.filter(|limit| *limit <= PAGE && offset.is_multiple_of(*limit)).unwrap_or(PAGE);
        let (mut found, mut number) = (Vec::new(), offset / size + 1);
        let end = limit.map_or(u64::MAX, |limit| offset.saturating_add(limit));
        loop {
            let (page, total) = self.page(size, number).await?;
            let begins = (number - 1) * size;
            let (whole, wanted) = (page.len() as u64, begins..end);
            let parts = page.into_iter().zip(begins..);
            found.extend(parts.filter(|(_, at)| *at >= offset && wanted.contains(at)).map(|(part, _)| part));
            let reached = begins.saturating_add(whole);
            // An empty page ends it, whatever the server counts: devices may go while they are listed.
            let is_last = whole == 0 || total.map_or(whole < size, |total| reached >= total);
            if is_last || reached >= end {
                let total = total.or_else(|| is_last.then_some(reached));
                return found.into_iter().map(Part::read).collect::<Result<_>>().map(|found| (found, total));
            }
            number += 1;
        }
    }

    async fn page(&self, size: u64, number: u64) -> Result<(Vec<Bytes>, Option<u64>)> {
        let count = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let request = v3::ListEndDevicesRequest {
            application_ids: Some(self.application_ids()),
            field_mask: mask(IDENTITY),
            order: "device_id".to_owned(),
            limit: count(size),
            page: count(number),
        };
        let reply = self.reply("EndDeviceRegistry", "List", &request).await?;
        let total = reply.metadata.get("x-total-count").and_then(|total| total.parse().ok());
        Ok((elements("ttn.lorawan.v3.EndDevices", reply.message)?, total))
    }

    /// Delete a device everywhere.
    ///
    /// # Errors
    /// What the servers say, but that they do not have it; the Identity Server must have it.
    pub async fn delete_device(&self, dev_id: &str) -> Result<()> {
        let request = v3::GetEndDeviceRequest { end_device_ids: Some(self.device_ids(dev_id)), field_mask: None };
        let device: v3::EndDevice = self.call("EndDeviceRegistry", "Get", &request).await?;
        self.delete(&device.ids.unwrap_or_default()).await
    }

    /// Delete a device of which all IDs are known.
    pub(super) async fn delete(&self, ids: &v3::EndDeviceIdentifiers) -> Result<()> {
        let ids = v3::EndDeviceIdentifiers { dev_addr: Vec::new(), ..ids.clone() };
        for service in ["AsEndDeviceRegistry", "NsEndDeviceRegistry"] {
            tolerate_absence(self.tell(service, "Delete", &ids).await)?;
        }
        if !ids.dev_eui.is_empty() && !ids.join_eui.is_empty() {
            tolerate_absence(self.tell("JsEndDeviceRegistry", "Delete", &ids).await)?;
        }
        self.tell("EndDeviceRegistry", "Delete", &ids).await
    }

    /// A device address of the network's: 4 bytes.
    ///
    /// # Errors
    /// What the server says; [`Error::Malformed`] for an address of another length.
    pub async fn dev_addr(&self) -> Result<Vec<u8>> {
        let reply = self.reply("Ns", "GenerateDevAddr", &()).await?;
        let malformed = |reason: String| Error::Malformed { message: "GenerateDevAddrResponse".to_owned(), reason };
        let answer =
            v3::GenerateDevAddrResponse::decode(reply.message).map_err(|error| malformed(error.to_string()))?;
        match answer.dev_addr.len() {
            4 => Ok(answer.dev_addr),
            length => Err(malformed(format!("expected 4 bytes, got {length}"))),
        }
    }
}
