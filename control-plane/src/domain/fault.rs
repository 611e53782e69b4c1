//! What is wrong with a field of a request, said so that a person or a form can put it right.

use serde::Serialize;
use utoipa::ToSchema;

/// One fault of one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fault {
    /// The field, as a JSON pointer (RFC 6901) into the request's body.
    #[schema(example = "/name")]
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

/// The faults of one request, all of them rather than the first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// The only fault, at `pointer`.
    pub fn one(pointer: impl Into<String>, detail: impl ToString) -> Self {
        let mut faults = Self::default();
        faults.add(pointer, detail);
        faults
    }

    /// Adds a fault at `pointer`.
    pub fn add(&mut self, pointer: impl Into<String>, detail: impl ToString) {
        self.0.push(Fault { pointer: pointer.into(), detail: detail.to_string() });
    }

    /// Adds all of `others`.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// The value of a field that was read at `pointer`; its error is added and leaves nothing.
    pub fn take<T, E: ToString>(&mut self, pointer: &str, read: Result<T, E>) -> Option<T> {
        read.map_err(|error| self.add(pointer, error)).ok()
    }

    /// The faults, if there are any.
    pub fn check(&mut self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(std::mem::take(self)) }
    }

    /// The faults, in the order in which they were found.
    pub fn into_vec(self) -> Vec<Fault> {
        self.0
    }
}
