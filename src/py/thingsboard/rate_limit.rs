//! `RateLimit` and `GreedyTokenBucket`, as the original has them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::logger;
use crate::client::thingsboard::{Meter, Meters};
use crate::dialect::thingsboard::{RateLimit, TokenBucket};
use crate::py::arguments::wrong_type;
use crate::py::number;
use crate::sync::Mutex;

/// The part of every limit that is used, in percent: `DEFAULT_RATE_LIMIT_PERCENTAGE`, as Python has read it from the
/// environment.
static PERCENTAGE: AtomicU64 = AtomicU64::new(80);

pub(super) fn percentage() -> u64 {
    PERCENTAGE.load(Ordering::Relaxed)
}

/// Say what part of every limit is used where nothing else is said, in percent.
#[pyfunction(crate = "crate::py::named")]
#[pyo3(name = "_set_rate_limit_percentage")]
pub(in crate::py) fn set_percentage(#[pyo3(from_py_with = number::most_used)] percentage: u64) {
    PERCENTAGE.store(percentage, Ordering::Relaxed);
}

/// The limits of messages, of telemetry and of the values in it.
pub(super) fn meters(py: Python<'_>, (messages, telemetry, points): &(String, String, String)) -> Meters {
    let meter = |text: &str| Meter::new(parse(py, text, percentage()));
    Meters { messages: meter(messages), telemetry: meter(telemetry), points: meter(points) }
}

/// A limit's text as buckets; parts that cannot be read are told in the log.
fn parse(py: Python<'_>, text: &str, percentage: u64) -> RateLimit {
    let (limit, invalid) = RateLimit::parse(text, percentage, Instant::now());
    for part in invalid {
        logger::log(py, "warning", &format!("Invalid rate limit format '{part}': expected count:seconds"));
    }
    limit
}

/// Python's clock at an instant.
fn monotonic(py: Python<'_>, instant: Instant) -> PyResult<f64> {
    let now: f64 = py.import("time")?.call_method0("monotonic")?.extract()?;
    Ok(now - instant.elapsed().as_secs_f64())
}

#[doc = stub!("GreedyTokenBucket")]
#[pyclass(frozen, subclass, name = "GreedyTokenBucket", module = "thingslink.tb_device_mqtt")]
pub(in crate::py) struct PyTokenBucket {
    bucket: Mutex<TokenBucket>,
}

#[pymethods(crate = "crate::py::named")]
impl PyTokenBucket {
    #[new]
    fn new(
        #[pyo3(from_py_with = number::capacity)] capacity: f64,
        #[pyo3(from_py_with = number::duration_sec)] duration_sec: f64,
    ) -> PyResult<Self> {
        if !(capacity.is_finite() && capacity >= 0.0) {
            return Err(PyValueError::new_err(format!("capacity {capacity} is not valid: expected 0 or more")));
        }
        let duration = Duration::try_from_secs_f64(duration_sec).ok().filter(|duration| !duration.is_zero());
        let duration = duration.ok_or_else(|| {
            PyValueError::new_err(format!("duration_sec {duration_sec} is not valid: expected seconds, more than 0"))
        })?;
        Ok(Self { bucket: Mutex::new(TokenBucket::new(capacity, duration, Instant::now())) })
    }

    /// Tokens when full.
    #[getter]
    fn capacity(&self) -> f64 {
        self.bucket.lock().capacity
    }

    /// Seconds from empty to full.
    #[getter]
    fn duration(&self) -> f64 {
        self.bucket.lock().duration.as_secs_f64()
    }

    /// Tokens when they were counted last.
    #[getter]
    fn tokens(&self) -> f64 {
        self.bucket.lock().tokens
    }

    #[setter]
    fn set_tokens(&self, #[pyo3(from_py_with = number::tokens)] tokens: f64) {
        self.bucket.lock().tokens = tokens;
    }

    /// When the tokens were counted last, by ``time.monotonic()``.
    #[getter]
    fn last_updated(&self, py: Python<'_>) -> PyResult<f64> {
        let updated = self.bucket.lock().updated;
        monotonic(py, updated)
    }

    /// Count the tokens.
    fn refill(&self) {
        self.bucket.lock().refill(Instant::now());
    }

    /// Whether there are so many tokens.
    #[pyo3(signature = (amount=1.0))]
    fn can_consume(&self, #[pyo3(from_py_with = number::amount)] amount: f64) -> bool {
        self.bucket.lock().can_consume(amount, Instant::now())
    }

    /// Take so many tokens if there are that many; tells whether.
    #[pyo3(signature = (amount=1.0))]
    fn consume(&self, #[pyo3(from_py_with = number::amount)] amount: f64) -> bool {
        self.bucket.lock().consume(amount, Instant::now())
    }

    /// Count the tokens and give their number.
    fn get_remaining_tokens(&self) -> f64 {
        let mut bucket = self.bucket.lock();
        bucket.refill(Instant::now());
        bucket.tokens
    }
}

#[doc = stub!("RateLimit")]
#[pyclass(frozen, subclass, name = "RateLimit", module = "thingslink.tb_device_mqtt")]
pub(in crate::py) struct PyRateLimit {
    meter: Meter,
    name: Option<String>,
    percentage: Mutex<u64>,
}

impl PyRateLimit {
    pub(super) fn wrap(meter: Meter, name: &str) -> Self {
        Self { meter, name: Some(name.to_owned()), percentage: Mutex::new(percentage()) }
    }
}

impl PyRateLimit {
    /// Put this limit in the place of another one, with what is used of it.
    pub(super) fn give_to(&self, meter: &Meter) {
        let limit = self.meter.limit().clone();
        *meter.limit() = limit;
    }
}

/// The form of `__dict__` read back.
fn from_dict(dict: &Bound<'_, PyDict>) -> PyResult<RateLimit> {
    let mut limit = RateLimit::default();
    limit.unlimited = dict.get_item("no_limit")?.map_or(Ok(false), |flag| flag.is_truthy())?;
    let Some(windows) = dict.get_item("rateLimits")? else { return Ok(limit) };
    for (seconds, bucket) in windows.cast::<PyDict>().map_err(|_| wrong_type("rateLimits", "a dict", &windows))?.iter()
    {
        let read = || -> PyResult<Option<(u64, TokenBucket)>> {
            let seconds: u64 = seconds.str()?.to_str()?.parse().map_err(|_| PyValueError::new_err("no number"))?;
            let number = |name: &str| bucket.call_method1("get", (name,))?.extract::<Option<f64>>();
            let (Some(capacity), Some(tokens)) = (number("capacity")?, number("tokens")?) else { return Ok(None) };
            let mut read = TokenBucket::new(capacity, Duration::from_secs(seconds.max(1)), Instant::now());
            read.tokens = tokens.min(capacity);
            if let Some(updated) = number("last_updated")? {
                let now: f64 = bucket.py().import("time")?.call_method0("monotonic")?.extract()?;
                let age = Duration::try_from_secs_f64(now - updated).unwrap_or_default();
                read.updated = read.updated.checked_sub(age).unwrap_or(read.updated);
            }
            Ok(Some((seconds, read)))
        };
        match read() {
            Ok(Some((seconds, bucket))) => drop(limit.buckets.insert(seconds, bucket)),
            Ok(None) => {}
            Err(error) => logger::log(
                dict.py(),
                "warning",
                &format!("Invalid bucket format for duration {seconds}: {}", error.value(dict.py())),
            ),
        }
    }
    Ok(limit)
}

#[pymethods(crate = "crate::py::named")]
impl PyRateLimit {
    #[new]
    #[pyo3(signature = (rate_limit, name=None, percentage=None), text_signature = "(rate_limit, name=None, percentage=80)")]
    fn new(
        py: Python<'_>,
        rate_limit: &Bound<'_, PyAny>,
        name: Option<String>,
        #[pyo3(from_py_with = number::percentage)] percentage: Option<u64>,
    ) -> PyResult<Self> {
        let percentage = percentage.unwrap_or_else(self::percentage);
        if let Ok(dict) = rate_limit.cast::<PyDict>() {
            let given: Option<u64> =
                dict.get_item("percentage")?.map_or(Ok(None), |given| number::percentage(&given))?;
            let named: Option<String> = dict.get_item("name")?.and_then(|name| name.extract().ok());
            let meter = Meter::new(from_dict(dict)?);
            return Ok(Self { meter, name: named.or(name), percentage: Mutex::new(given.unwrap_or(percentage)) });
        }
        let text = rate_limit.cast::<PyString>().map_err(|_| wrong_type("rate_limit", "text or a dict", rate_limit))?;
        let meter = Meter::new(parse(py, text.to_str()?, percentage));
        Ok(Self { meter, name, percentage: Mutex::new(percentage) })
    }

    /// What it limits.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The part of each count that is used, in percent.
    #[getter]
    fn percentage(&self) -> u64 {
        *self.percentage.lock()
    }

    #[getter(_no_limit)]
    fn no_limit(&self) -> bool {
        self.meter.limit().unlimited
    }

    /// Take tokens, as far as there are any.
    #[pyo3(signature = (amount=1.0))]
    fn increase_rate_limit_counter(&self, #[pyo3(from_py_with = number::amount)] amount: f64) {
        self.meter.limit().deduct(amount, Instant::now());
    }

    /// ``False``, or capacity and seconds of a window that has not so many tokens.
    #[pyo3(signature = (amount=1.0))]
    fn check_limit_reached<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = number::amount)] amount: f64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let exhausted = self.meter.limit().exhausted(amount, Instant::now());
        match exhausted {
            Some(window) => Ok(window.into_pyobject(py)?.into_any()),
            None => Ok(false.into_pyobject(py)?.to_owned().into_any()),
        }
    }

    /// The smallest capacity; 0 without a limit.
    fn get_minimal_limit(&self) -> f64 {
        let limit = self.meter.limit();
        if limit.unlimited { 0.0 } else { limit.smallest().unwrap_or(f64::INFINITY) }
    }

    /// Seconds of the shortest window and one more, at most 5; 0 without a limit.
    fn get_minimal_timeout(&self) -> u64 {
        let limit = self.meter.limit();
        let shortest = limit.buckets.keys().next().map_or(5, |seconds| seconds + 1);
        if limit.unlimited { 0 } else { shortest.min(5) }
    }

    /// Whether there is a limit.
    fn has_limit(&self) -> bool {
        !self.meter.limit().unlimited
    }

    /// Replace the windows; tokens used of equal windows stay used.
    #[pyo3(signature = (rate_limit, percentage=None), text_signature = "($self, rate_limit, percentage=80)")]
    fn set_limit(
        &self,
        py: Python<'_>,
        rate_limit: &str,
        #[pyo3(from_py_with = number::percentage)] percentage: Option<u64>,
    ) -> PyResult<()> {
        let percentage = percentage.unwrap_or_else(self::percentage);
        let percentage = if percentage > 0 { percentage } else { self.percentage() };
        *self.percentage.lock() = percentage;
        let new = parse(py, rate_limit, percentage);
        self.meter.limit().replace(new, Instant::now());
        Ok(())
    }

    /// Empty one window, the shortest first and the next one each time, since the server reports a limit.
    fn reach_limit(&self) -> Option<u64> {
        self.meter.limit().reach(Instant::now())
    }

    #[getter(__dict__)]
    fn dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let limit = self.meter.limit().clone();
        let windows = PyDict::new(py);
        for (seconds, mut bucket) in limit.buckets {
            bucket.refill(Instant::now());
            let window = PyDict::new(py);
            window.set_item("capacity", bucket.capacity)?;
            window.set_item("tokens", bucket.tokens)?;
            window.set_item("last_updated", monotonic(py, bucket.updated)?)?;
            windows.set_item(seconds.to_string(), window)?;
        }
        let dict = PyDict::new(py);
        dict.set_item("rateLimits", windows)?;
        dict.set_item("name", &self.name)?;
        dict.set_item("percentage", self.percentage())?;
        dict.set_item("no_limit", limit.unlimited)?;
        Ok(dict)
    }

    /// Give the limits of messages and of data points for a host, as the two after it do.
    #[staticmethod]
    fn get_rate_limits_by_host(host: &str, rate_limit: &str, dp_rate_limit: &str) -> (String, String) {
        (messages_by_host(host, rate_limit), points_by_host(host, dp_rate_limit))
    }

    /// Give the limit of messages for a host. A default's name is ThingsBoard Cloud's limit there, else none.
    #[staticmethod]
    fn get_rate_limit_by_host(host: &str, rate_limit: &str) -> String {
        messages_by_host(host, rate_limit)
    }

    /// Give the limit of data points for a host. A default's name is ThingsBoard Cloud's limit there, else none.
    #[staticmethod]
    fn get_dp_rate_limit_by_host(host: &str, dp_rate_limit: &str) -> String {
        points_by_host(host, dp_rate_limit)
    }
}

fn is_cloud(host: &str) -> bool {
    host.contains("thingsboard.cloud")
        || host.contains("demo.thingsboard.io")
        || (host.contains("tb") && host.contains("cloud"))
}

fn by_host(host: &str, given: &str, defaults: &[&str], cloud: &str) -> String {
    match () {
        () if !defaults.contains(&given) => given.to_owned(),
        () if is_cloud(host) => cloud.to_owned(),
        () => "0:0,".to_owned(),
    }
}

/// The limit of messages at this host, unless another one than the default is asked for.
fn messages_by_host(host: &str, given: &str) -> String {
    const DEFAULTS: [&str; 3] = ["DEFAULT_RATE_LIMIT", "DEFAULT_MESSAGES_RATE_LIMIT", "DEFAULT_TELEMETRY_RATE_LIMIT"];
    by_host(host, given, &DEFAULTS, "10:1,60:60,")
}

/// The limit of values at this host, unless another one than the default is asked for.
fn points_by_host(host: &str, given: &str) -> String {
    by_host(host, given, &["DEFAULT_RATE_LIMIT", "DEFAULT_TELEMETRY_DP_RATE_LIMIT"], "10:1,300:60,")
}
