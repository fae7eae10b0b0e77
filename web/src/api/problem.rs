use utoipa::ToSchema;

/// A failure, as every route tells it (RFC 9457, `application/problem+json`).
#[derive(ToSchema)]
#[schema(title = "Problem")]
#[expect(dead_code, reason = "it describes what `listener::Problem` writes")]
pub(super) struct ProblemView {
    /// Always `about:blank`; `code` says which problem it is.
    r#type: String,
    /// The kind of problem, for people.
    title: String,
    /// The HTTP status.
    status: u16,
    /// This occurrence of it, for people.
    detail: Option<String>,
    /// A stable word for programs, for example `tier_required`.
    code: String,
}
