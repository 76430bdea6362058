//! What a callable takes, read off its signature.

use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// The parameters of a callable.
#[derive(Clone, Debug, Default)]
pub(super) struct Signature {
    /// Names of those that may come by position.
    pub(super) positional: Vec<String>,
    /// How many of these have no default.
    pub(super) required: usize,
    /// Whether any number may come by position.
    pub(super) variable: bool,
    /// Names of those that come by keyword alone.
    pub(super) keywords: Vec<String>,
    /// Whether any keyword may come.
    pub(super) any_keyword: bool,
}

impl Signature {
    /// Read it; `None` for builtins that tell nothing.
    pub(super) fn of(callable: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        if let Some(signature) = plain_function(callable)? {
            return Ok(Some(signature));
        }
        let inspect = callable.py().import("inspect")?;
        let Ok(signature) = inspect.call_method1("signature", (callable,)) else { return Ok(None) };
        let empty = inspect.getattr("Parameter")?.getattr("empty")?;
        let mut found = Self::default();
        for parameter in signature.getattr("parameters")?.call_method0("values")?.try_iter()? {
            let parameter = parameter?;
            let name: String = parameter.getattr("name")?.extract()?;
            let kind: String = parameter.getattr("kind")?.getattr("name")?.extract()?;
            match kind.as_str() {
                "POSITIONAL_ONLY" | "POSITIONAL_OR_KEYWORD" => {
                    found.positional.push(name);
                    found.required += usize::from(parameter.getattr("default")?.is(&empty));
                }
                "VAR_POSITIONAL" => found.variable = true,
                "KEYWORD_ONLY" => found.keywords.push(name),
                _ => found.any_keyword = true,
            }
        }
        Ok(Some(found))
    }

    /// Whether a parameter of that name can be given by keyword.
    pub(super) fn names(&self, name: &str) -> bool {
        self.positional.iter().chain(&self.keywords).any(|known| known == name)
    }

    /// Whether so many arguments may come by position.
    pub(super) fn takes(&self, count: usize) -> bool {
        count >= self.required && (self.variable || count <= self.positional.len())
    }
}

/// As [`Signature::of`] for functions and methods written in Python, without the cost of importing `inspect`.
fn plain_function(callable: &Bound<'_, PyAny>) -> PyResult<Option<Signature>> {
    const VARIABLE: u32 = 0x04;
    const KEYWORDS: u32 = 0x08;
    let kind = callable.get_type().name()?.to_string();
    if callable.hasattr("__wrapped__")? || callable.hasattr("__signature__")? {
        return Ok(None);
    }
    let (function, bound) = match kind.as_str() {
        "function" => (callable.clone(), 0),
        "method" => (callable.getattr("__func__")?, 1),
        _ => return Ok(None),
    };
    let Ok(code) = function.getattr("__code__") else { return Ok(None) };
    let count: usize = code.getattr("co_argcount")?.extract()?;
    let only: usize = code.getattr("co_kwonlyargcount")?.extract()?;
    let flags: u32 = code.getattr("co_flags")?.extract()?;
    let names: Vec<String> = code.getattr("co_varnames")?.cast::<PyTuple>()?.extract()?;
    let defaults = function.getattr("__defaults__")?;
    let defaults = if defaults.is_none() { 0 } else { defaults.len()? };
    let variable = flags & VARIABLE != 0;
    let Some(positional) = names.get(bound.min(count)..count) else { return Ok(None) };
    if bound > count && !variable {
        return Ok(None);
    }
    Ok(Some(Signature {
        required: positional.len().saturating_sub(defaults),
        positional: positional.to_vec(),
        variable,
        keywords: names.get(count..count + only).unwrap_or_default().to_vec(),
        any_keyword: flags & KEYWORDS != 0,
    }))
}
