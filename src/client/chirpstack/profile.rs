//! Device profiles (CS 4.4): which one is meant, and the codec that it has.

use std::collections::BTreeMap;

use super::find::one;
use super::whole::Whole;
use super::{ChirpStack, Named, Tenancy};
use crate::client::managed::{Functions, code_of, of_all};
use crate::dialect::lorawan::uuid;
use crate::error::{Error, Result, RpcCode};
use crate::rpc::proto::chirpstack::api::{self, CodecRuntime};

/// A device profile.
pub(super) type Profile = Whole<api::DeviceProfile>;

impl ChirpStack {
    /// The profile with this UUID.
    ///
    /// # Errors
    /// What the server says.
    pub(super) async fn profile(&self, id: &str) -> Result<Profile> {
        let request = api::GetDeviceProfileRequest { id: id.to_owned() };
        let found = self.whole("DeviceProfileService", "Get", &request, "api.DeviceProfile").await?;
        Ok(found.unwrap_or_else(|| Whole::new("api.DeviceProfile", api::DeviceProfile::default())))
    }

    /// Whether the profile of a device has a codec, without which fields would be sent as nothing.
    ///
    /// # Errors
    /// What the server says.
    pub async fn has_codec(&self, dev_eui: &str) -> Result<bool> {
        let request = api::GetDeviceRequest { dev_eui: dev_eui.to_owned() };
        let device: api::GetDeviceResponse = self.call("DeviceService", "Get", &request).await?;
        self.profile_has_codec(&device.device.unwrap_or_default().device_profile_id).await
    }

    /// Whether a profile has a codec.
    pub(super) async fn profile_has_codec(&self, id: &str) -> Result<bool> {
        Ok(self.profile(id).await?.read.payload_codec_runtime != 0)
    }

    /// The profiles that devices of an application have.
    pub(super) async fn profiles_in_use(&self, application_id: &str) -> Result<Vec<Profile>> {
        let named = self.named_profiles(application_id).await?;
        let read = |item: api::ApplicationDeviceProfileListItem| {
            let server = self.clone();
            async move { server.profile(&item.id).await }
        };
        of_all(named, read).await
    }

    async fn named_profiles(&self, application_id: &str) -> Result<Vec<api::ApplicationDeviceProfileListItem>> {
        let request = api::ListApplicationDeviceProfilesRequest { application_id: application_id.to_owned() };
        let asked = self.call("ApplicationService", "ListDeviceProfiles", &request).await;
        match asked.map(|answer: api::ListApplicationDeviceProfilesResponse| answer.result) {
            // Older servers do not tell; their devices do.
            Err(error) if code_of(&error) == Some(RpcCode::Unimplemented) => {}
            outcome => return outcome,
        }
        let application_id = application_id.to_owned();
        let request = api::ListDevicesRequest { application_id, ..api::ListDevicesRequest::default() };
        let devices = self.all_of(&request).await?;
        let named: BTreeMap<_, _> =
            devices.into_iter().map(|device| (device.device_profile_id, device.device_profile_name)).collect();
        Ok(named.into_iter().map(|(id, name)| api::ApplicationDeviceProfileListItem { id, name }).collect())
    }
}

/// The payload functions of a profile, in V2's words.
pub(super) fn functions_of(profile: &api::DeviceProfile) -> Functions {
    let format = match profile.payload_codec_runtime() {
        CodecRuntime::Js => "custom",
        CodecRuntime::CayenneLpp => "cayennelpp",
        CodecRuntime::None => "",
    };
    Functions::of_script(format, &profile.payload_codec_script)
}

/// Give a profile these functions. What is not changed stays as it is written.
fn set_functions(profile: &mut api::DeviceProfile, functions: &Functions) -> Result<()> {
    let runtime = match functions.format.as_str() {
        "custom" => CodecRuntime::Js,
        "cayennelpp" => CodecRuntime::CayenneLpp,
        "" => CodecRuntime::None,
        other => {
            return Err(Error::invalid("payload_format", other, "\"custom\", \"cayennelpp\" or \"\" for none"));
        }
    };
    let before = Functions { format: functions.format.clone(), ..functions_of(profile) };
    if before != *functions {
        profile.payload_codec_script = functions.script()?;
    }
    profile.set_payload_codec_runtime(runtime);
    Ok(())
}

impl Tenancy {
    /// All profiles of the tenant.
    async fn profiles(&self, home: &Named) -> Result<Vec<api::DeviceProfileListItem>> {
        let tenant_id = home.tenant_id.clone();
        self.server
            .all_of(&api::ListDeviceProfilesRequest { tenant_id, ..api::ListDeviceProfilesRequest::default() })
            .await
    }

    /// The UUID of a profile of the tenant.
    ///
    /// # Errors
    /// [`Error::Invalid`] where there is none of this name, [`Error::Ambiguous`] where there are several, and what the server
    /// says.
    pub(super) async fn profile_called(&self, home: &Named, given: &str) -> Result<String> {
        if let Some(id) = uuid(given) {
            return Ok(id);
        }
        let found = self.profiles(home).await?.into_iter().filter(|item| item.name == given).map(|item| item.id);
        one("profile", given, "device profiles with the UUIDs", found.collect())?
            .ok_or_else(|| Error::invalid("profile", given, "the name of a device profile of the tenant, or its UUID"))
    }

    /// The profile of a new device: the one that is given, else the client's if it fits, else the only one that does, of those
    /// that are in use in the application or of the tenant's.
    pub(super) async fn profile_for(&self, home: &Named, given: Option<&str>, joins: bool) -> Result<String> {
        let (devices, expected) = if joins {
            ("that join (OTAA)", "a device profile for devices that join (OTAA)")
        } else {
            ("that do not join (ABP)", "a device profile for devices that do not join (ABP)")
        };
        if let Some(meant) = given.or(self.profile.as_deref()) {
            let id = self.profile_called(home, meant).await?;
            if self.server.profile(&id).await?.read.supports_otaa == joins {
                return Ok(id);
            }
            // That of the client is meant for the devices that it fits.
            if let Some(given) = given {
                return Err(Error::invalid("profile", given, expected));
            }
        }
        let fitting: Vec<_> =
            self.profiles(home).await?.into_iter().filter(|profile| profile.supports_otaa == joins).collect();
        let in_use = self.server.named_profiles(&home.id).await?;
        let those: Vec<_> = fitting.iter().filter(|profile| in_use.iter().any(|used| used.id == profile.id)).collect();
        match (those.as_slice(), fitting.as_slice()) {
            ([one], _) => Ok(one.id.clone()),
            (_, [one]) => Ok(one.id.clone()),
            (_, []) => {
                let found = format!("the tenant has none for devices {devices}: ChirpStack's web interface makes them");
                Err(Error::Ambiguous { what: "profile", value: String::new(), found })
            }
            (_, several) => {
                let names: Vec<_> = several.iter().map(|profile| format!("{:?}", profile.name)).collect();
                let found =
                    format!("the tenant has several device profiles for devices {devices}, {}", names.join(", "));
                Err(Error::Ambiguous { what: "profile", value: String::new(), found })
            }
        }
    }

    /// The profile whose codec is the application's: the one that is given, else the only one in use, which no other
    /// application uses.
    async fn profile_of_codec(&self, home: &Named) -> Result<Profile> {
        if let Some(given) = &self.profile {
            return self.server.profile(&self.profile_called(home, given).await?).await;
        }
        let named = self.server.named_profiles(&home.id).await?;
        let [profile] = named.as_slice() else {
            let found = match named.as_slice() {
                [] => "the application has no devices, and so no codec: profile= says whose codec is meant".to_owned(),
                several => {
                    let quoted: Vec<_> = several.iter().map(|profile| format!("{:?}", profile.name)).collect();
                    format!(
                        "devices have the profiles {}, and each its own codec: profile= says which is meant",
                        quoted.join(", ")
                    )
                }
            };
            return Err(Error::Ambiguous { what: "profile", value: String::new(), found });
        };
        let others = self.others_with(home, &profile.id).await?;
        if !others.is_empty() {
            let found = format!(
                "devices of {} have it, too, and a change of its codec is one for all: profile= says that it is meant",
                others.join(", ")
            );
            return Err(Error::Ambiguous { what: "profile", value: profile.name.clone(), found });
        }
        self.server.profile(&profile.id).await
    }

    /// The other applications of the tenant whose devices have a profile.
    async fn others_with(&self, home: &Named, profile_id: &str) -> Result<Vec<String>> {
        let tenant_id = home.tenant_id.clone();
        let request = api::ListApplicationsRequest { tenant_id, ..api::ListApplicationsRequest::default() };
        let others = self.server.all_of(&request).await?.into_iter().filter(|item| item.id != home.id);
        let has_it = |item: api::ApplicationListItem| {
            let (server, profile_id) = (self.server.clone(), profile_id.to_owned());
            async move {
                let named = server.named_profiles(&item.id).await?;
                Ok(named.iter().any(|profile| profile.id == profile_id).then(|| format!("{:?}", item.name)))
            }
        };
        Ok(of_all(others.collect(), has_it).await?.into_iter().flatten().collect())
    }

    /// Read the codec, change it, write its profile back whole: what is not mentioned stays.
    ///
    /// # Errors
    /// [`Error::Ambiguous`] where it is not clear whose codec is meant, [`Error::Invalid`] for functions that do not go
    /// together, and what the server says.
    pub async fn change_functions(&self, change: impl FnOnce(&mut Functions)) -> Result<()> {
        let home = self.home().await?;
        let mut profile = self.profile_of_codec(&home).await?;
        let mut functions = functions_of(&profile.read);
        change(&mut functions);
        set_functions(&mut profile.read, &functions)?;
        let outcome = self.server.put("DeviceProfileService", "Update", &profile).await;
        self.written(&home, outcome).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_stays_where_the_format_alone_is_changed() {
        let script = "export function x() {}";
        let mut profile =
            api::DeviceProfile { payload_codec_script: script.to_owned(), ..api::DeviceProfile::default() };
        for (format, runtime) in
            [("cayennelpp", CodecRuntime::CayenneLpp), ("custom", CodecRuntime::Js), ("", CodecRuntime::None)]
        {
            let functions = Functions { format: format.to_owned(), ..functions_of(&profile) };
            set_functions(&mut profile, &functions).unwrap();
            assert_eq!((profile.payload_codec_runtime(), profile.payload_codec_script.as_str()), (runtime, script));
            assert_eq!(functions_of(&profile), functions);
        }
        let unknown = Functions { format: "grpc".to_owned(), ..Functions::default() };
        assert!(set_functions(&mut profile, &unknown).unwrap_err().to_string().contains("\"cayennelpp\""));
    }
}
