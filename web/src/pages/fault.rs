//! What is wrong with what somebody typed, told at its field.

use http::StatusCode;
use listener::{Language, Text, status};
use model::ErrorKind;

use crate::WebError;

/// The first thing that is wrong with a form, if anything is.
#[derive(Debug, Default)]
pub(crate) struct Fault(Option<(&'static str, String)>);

impl Fault {
    /// What is wrong with a field, in a sentence.
    pub(crate) fn new(field: &'static str, sentence: impl Into<String>) -> Self {
        Self(Some((field, sentence.into())))
    }

    /// What is wrong with a field, as the rule says that refused it.
    pub(crate) fn told(field: &'static str, refusal: &WebError, language: Language) -> Self {
        let problem = refusal.problem();
        let told: &Text = problem.detail.as_ref().unwrap_or(&problem.title);
        Self::new(field, told.in_language(language))
    }

    /// The same of what refused the whole form, with the status of the page that shows it again.
    ///
    /// # Errors
    ///
    /// The refusal, if no other word would help: who may not, what is not there, defects.
    pub(crate) fn of_form(
        field: &'static str,
        refusal: WebError,
        language: Language,
    ) -> Result<(StatusCode, Self), WebError> {
        use ErrorKind::{Conflict, Invalid, TooMany, Unavailable};
        let is_told = match &refusal {
            WebError::Refused(problem) => matches!(problem.kind, Invalid | Conflict | TooMany | Unavailable),
            other => matches!(other.kind(), Invalid | Conflict | TooMany),
        };
        if !is_told {
            return Err(refusal);
        }
        Ok((status(refusal.kind()), Self::told(field, &refusal, language)))
    }

    /// What is wrong with this field.
    pub(crate) fn at(&self, field: impl AsRef<str>) -> Option<&str> {
        let (at, sentence) = self.0.as_ref()?;
        (*at == field.as_ref()).then_some(sentence)
    }
}
