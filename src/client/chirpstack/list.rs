//! Lists (CS 4.4): they come in pages, and without a limit there is the number alone.

use prost::Message;

use super::ChirpStack;
use crate::error::Result;
use crate::rpc::proto::chirpstack::api;

/// What a page has at most.
const PAGE: u64 = 1000;

/// What asks for a page of a list.
pub(super) trait Listing: Message + Clone {
    /// What has the list.
    const SERVICE: &'static str;
    /// What is listed.
    type Item: Send;
    /// What answers.
    type Page: Message + Default;
    /// Ask for this part.
    fn part(&mut self, limit: u32, offset: u32);
    /// What a page has, and how many there are in all.
    fn items(page: Self::Page) -> (Vec<Self::Item>, u32);
}

macro_rules! listings {
    ($($request:ident, $page:ident, $item:ident, $service:literal;)*) => {$(
        impl Listing for api::$request {
            const SERVICE: &'static str = $service;
            type Item = api::$item;
            type Page = api::$page;

            fn part(&mut self, limit: u32, offset: u32) {
                (self.limit, self.offset) = (limit, offset);
            }

            fn items(page: api::$page) -> (Vec<api::$item>, u32) {
                (page.result, page.total_count)
            }
        }
    )*};
}

listings! {
    ListApplicationsRequest, ListApplicationsResponse, ApplicationListItem, "ApplicationService";
    ListDevicesRequest, ListDevicesResponse, DeviceListItem, "DeviceService";
    ListDeviceProfilesRequest, ListDeviceProfilesResponse, DeviceProfileListItem, "DeviceProfileService";
    ListGatewaysRequest, ListGatewaysResponse, GatewayListItem, "GatewayService";
}

impl ChirpStack {
    /// A part of a list, page by page, and how many there are in all.
    ///
    /// # Errors
    /// What the server says.
    pub(super) async fn part_of<L: Listing>(
        &self,
        request: &L,
        limit: Option<u64>,
        offset: u64,
    ) -> Result<(Vec<L::Item>, u64)> {
        let (mut found, mut wanted) = (Vec::new(), limit.unwrap_or(u64::MAX));
        let count = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let mut request = request.clone();
        loop {
            let size = wanted.min(PAGE);
            request.part(count(size), count(offset.saturating_add(found.len() as u64)));
            let (page, total) = L::items(self.call(L::SERVICE, "List", &request).await?);
            let got = page.len() as u64;
            found.extend(page);
            wanted -= got.min(wanted);
            // An empty page ends it, whatever the server counts: things may go while they are listed.
            if wanted == 0 || got < size || got == 0 {
                return Ok((found, total.into()));
            }
        }
    }

    /// All of a list.
    ///
    /// # Errors
    /// What the server says.
    pub(super) async fn all_of<L: Listing>(&self, request: &L) -> Result<Vec<L::Item>> {
        Ok(self.part_of(request, None, 0).await?.0)
    }
}
