//! Iterating over an application's devices, page by page.

use pyo3::prelude::*;

use super::calls::Calls;
use super::way::Way;
use crate::sync::Mutex;

/// The pages of the list of an application's devices, from ``devices_pages``.
#[pyclass(frozen, name = "PageIterator", module = "thingslink.ttn")]
pub(in crate::py) struct PyPages {
    way: Way,
    page_size: u64,
    complete: bool,
    timeout: Option<Py<PyAny>>,
    /// Devices so far; none after the last page.
    offset: Mutex<Option<u64>>,
}

impl PyPages {
    pub(super) fn new(way: Way, page_size: u64, complete: bool, timeout: Option<Py<PyAny>>) -> Self {
        Self { way, page_size, complete, timeout, offset: Mutex::new(Some(0)) }
    }

    /// The next page; none after the last one.
    fn next<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(offset) = *self.offset.lock() else { return Ok(None) };
        let timeout = self.timeout.as_ref().map(|timeout| timeout.clone_ref(py).into_bound(py));
        let timeout = Calls::timeout(py, timeout.as_ref())?;
        let page = self.way.page(py, Some(self.page_size), Some(offset), self.complete, timeout)?;
        let page = page.wait(py)?.into_bound(py);
        let got = page.len()? as u64;
        // V3 tells how many there are.
        let total: Option<u64> = page.getattr("total")?.extract()?;
        let is_last = got < self.page_size || total.is_some_and(|total| offset + got >= total);
        *self.offset.lock() = (!is_last).then_some(offset + got);
        Ok((got > 0 || offset == 0).then_some(page))
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyPages {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.next(py)
    }
}

/// The devices of an application, fetched page by page, from ``iter_devices``.
#[pyclass(frozen, name = "DeviceIterator", module = "thingslink.ttn")]
pub(in crate::py) struct PyDevicePages {
    pages: PyPages,
    state: Mutex<PageState>,
}

impl PyDevicePages {
    pub(super) fn new(way: Way, page_size: u64, timeout: Option<Py<PyAny>>) -> Self {
        Self { pages: PyPages::new(way, page_size, false, timeout), state: Mutex::default() }
    }
}

/// How far it is.
#[derive(Default)]
struct PageState {
    page: Option<Py<PyAny>>,
    next: usize,
}

#[pymethods(crate = "crate::py::named")]
impl PyDevicePages {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        loop {
            let (page, index) = {
                let mut state = self.state.lock();
                let index = state.next;
                state.next += 1;
                (state.page.as_ref().map(|page| page.clone_ref(py)), index)
            };
            if let Some(page) = page {
                let page = page.into_bound(py);
                if index < page.len()? {
                    return page.get_item(index).map(Some);
                }
            }
            let Some(page) = self.pages.next(py)? else { return Ok(None) };
            let mut state = self.state.lock();
            state.next = 0;
            let old = state.page.replace(page.unbind());
            drop(state);
            drop(old);
        }
    }
}
