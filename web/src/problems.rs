//! What clients are told when a rule of the site refuses them: a word for programs, a sentence in
//! each language for people.

use std::time::Duration;

use catalog::{CatalogError, ReencodeRefusal, TrimRefusal};
use listener::{Language, Problem, Text};
use model::{ClipRefusal, ErrorKind};
use subscriptions::SubscriptionsError;

use crate::chapters::Fault;
use crate::pages::clock;

/// What a failure of `subscriptions` is to a client.
pub(crate) fn of_subscriptions(error: &SubscriptionsError) -> Problem {
    let plain = Problem::of(error.kind());
    match error {
        SubscriptionsError::WrongCredentials => plain.named(
            "wrong_credentials",
            Text::new("El usuario o la contraseña no son correctos", "The username or the password is wrong"),
        ),
        SubscriptionsError::TooManyAttempts { wait } => plain
            .named(
                "too_many_attempts",
                Text::new(
                    "Demasiados intentos fallidos; espera un poco",
                    "Too many failed attempts; wait a little",
                ),
            )
            .retry_after(seconds(*wait)),
        SubscriptionsError::TooManySessions { wait } => plain.retry_after(seconds(*wait)),
        SubscriptionsError::UsernameTaken => plain
            .named("username_taken", Text::new("Ese nombre de usuario ya existe", "That username is taken")),
        SubscriptionsError::Username(_) => plain
            .named("username_invalid", Text::new("Ese nombre de usuario no sirve", "That username won't do"))
            .because(Text::new(
                "De 3 a 32 letras sin acento, cifras o, entre ellas, punto, guion o guion bajo",
                "3 to 32 letters without accents, digits or, between them, a dot, hyphen or underscore",
            )),
        SubscriptionsError::Password(_) => plain
            .named("password_invalid", Text::new("Esa contraseña no sirve", "That password won't do"))
            .because(Text::new("Al menos 8 caracteres", "At least 8 characters")),
        SubscriptionsError::LastAdministrator => plain.named(
            "last_administrator",
            Text::new(
                "El sitio se quedaría sin administración",
                "The site would be left without an administrator",
            ),
        ),
        _ => plain,
    }
}

/// What a failure of `catalog` is to a client.
pub(crate) fn of_catalog(error: &CatalogError) -> Problem {
    let plain = Problem::of(error.kind());
    let refusal = match error {
        CatalogError::Reencode(refusal) => refusal,
        CatalogError::Trim(TrimRefusal::NotReady) => return not_ready(),
        CatalogError::Trim(TrimRefusal::UnderWay) => return version_under_way(),
        CatalogError::Trim(TrimRefusal::NothingToUndo) => {
            return plain.named(
                "nothing_to_undo",
                Text::new("No hay recorte que deshacer", "There is no trim to undo"),
            );
        }
        CatalogError::QuotaExceeded { used_bytes, limit_bytes, .. } => {
            let no_room = Text::new("No queda espacio en la cuenta", "The account has no space left");
            return plain.named("quota_exceeded", no_room).because(Text {
                es: format!("Se usan {used_bytes} de {limit_bytes} bytes").into(),
                en: format!("{used_bytes} of {limit_bytes} bytes are used").into(),
            });
        }
        CatalogError::TooManyEvents { .. } => {
            return plain.named(
                "too_many_events",
                Text::new(
                    "Tienes demasiados eventos sin terminar; termina o borra alguno",
                    "Too many of your events are not over; end or delete one",
                ),
            );
        }
        _ => return plain,
    };
    match refusal {
        ReencodeRefusal::NotReady => not_ready(),
        ReencodeRefusal::UnderWay => plain.named(
            "reencode_under_way",
            Text::new("El video ya se está recodificando", "The video is being re-encoded already"),
        ),
        ReencodeRefusal::Nothing => invalid_renditions(Text::new(
            "Hay que nombrar al menos una calidad de imagen",
            "Name at least one picture rendition",
        )),
        ReencodeRefusal::NoSuchPicture(name) => invalid_renditions(Text {
            es: format!("El video no tiene una imagen codificada «{name}»").into(),
            en: format!("The video has no encoded picture “{name}”").into(),
        }),
        ReencodeRefusal::NotSlower(name) => invalid_renditions(Text {
            es: format!("«{name}» ya se codificó así de despacio, o más").into(),
            en: format!("“{name}” was encoded as slowly already, or more so").into(),
        }),
        ReencodeRefusal::NoPlan => plain.named(
            "no_plan",
            Text::new(
                "Lo publicó una versión anterior de Cocuyo, que no guardaba con qué; hay que subirlo otra vez",
                "It was published by an earlier release of Cocuyo, which did not keep how; upload it again",
            ),
        ),
    }
}

/// Renditions that cannot be encoded anew.
fn invalid_renditions(why: Text) -> Problem {
    Problem::of(ErrorKind::Invalid)
        .named("invalid_renditions", Text::new("Esas calidades no sirven", "Those renditions won't do"))
        .because(why)
}

/// The uploaded file is not in the bucket any more.
pub(crate) fn original_missing() -> Problem {
    Problem::of(ErrorKind::Conflict).named(
        "original_missing",
        Text::new(
            "El archivo que se subió ya no está en el almacén",
            "The file that was uploaded is not in the bucket any more",
        ),
    )
}

/// Whole seconds after which `wait` is over.
fn seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1)
}

/// The viewer's tier does not reach.
pub(crate) fn tier_required() -> Problem {
    Problem::of(ErrorKind::Forbidden)
        .named("tier_required", Text::new("Este video necesita otro plan", "This video needs another plan"))
}

/// The video has no version that plays yet.
pub(crate) fn not_ready() -> Problem {
    Problem::of(ErrorKind::Conflict)
        .named("not_ready", Text::new("El video aún no está listo", "The video is not ready yet"))
}

/// Another site's page sent the request.
pub(crate) fn cross_site() -> Problem {
    Problem::of(ErrorKind::Forbidden).named(
        "cross_site",
        Text::new("La petición viene de otro sitio", "The request comes from another site"),
    )
}

/// People cannot make accounts for themselves here.
pub(crate) fn registration_closed() -> Problem {
    Problem::of(ErrorKind::Forbidden).named(
        "registration_closed",
        Text::new(
            "Aquí las cuentas las crea la administración",
            "Accounts are made by the administrators here",
        ),
    )
}

/// A body that is not the one the resource takes; `why` is for whoever wrote the program.
pub(crate) fn invalid_body(why: &str) -> Problem {
    let sentence = |intro: &str| format!("{intro}: {why}").into();
    Problem::of(ErrorKind::Invalid)
        .named(
            "invalid_body",
            Text::new(
                "El cuerpo de la petición no es el esperado",
                "The body of the request is not the expected one",
            ),
        )
        .because(Text {
            es: sentence("El cuerpo no se entiende"),
            en: sentence("The body cannot be understood"),
        })
}

/// A query that is not the one the resource takes.
pub(crate) fn invalid_query() -> Problem {
    Problem::of(ErrorKind::Invalid).named(
        "invalid_query",
        Text::new("Los parámetros de la dirección no sirven", "The parameters of the address won't do"),
    )
}

/// A title that cannot stand in a list.
pub(crate) fn invalid_title() -> Problem {
    Problem::of(ErrorKind::Invalid)
        .named("invalid_title", Text::new("Ese título no sirve", "That title won't do"))
        .because(Text::new("De 1 a 200 caracteres en una sola línea", "1 to 200 characters on a single line"))
}

/// A description that is too long, or not text.
pub(crate) fn invalid_description() -> Problem {
    Problem::of(ErrorKind::Invalid)
        .named("invalid_description", Text::new("Esa descripción no sirve", "That description won't do"))
        .because(Text::new("Hasta 5000 caracteres de texto", "Up to 5,000 characters of text"))
}

/// A clip of nothing, of too much, or of both kinds at once.
pub(crate) fn invalid_clip() -> Problem {
    Problem::of(ErrorKind::Invalid)
        .named("invalid_clip", Text::new("Ese clip no sirve", "That clip won't do"))
        .because(Text::new(
            "De 1 segundo a 15 minutos: entre `from_s` y `to_s`, o los últimos `last_s` segundos",
            "1 second to 15 minutes: from `from_s` to `to_s`, or the last `last_s` seconds",
        ))
}

/// Of this there is no clip.
pub(crate) fn no_clip(refusal: ClipRefusal) -> Problem {
    match refusal {
        ClipRefusal::NotOnAir => Problem::of(ErrorKind::Conflict)
            .named("not_on_air", Text::new("El evento no está en el aire", "The event is not on air")),
        ClipRefusal::NotThere { from_ms, to_ms } => {
            let (from, to) = (clock(from_ms), clock(to_ms));
            Problem::of(ErrorKind::Invalid)
                .named(
                    "clip_not_there",
                    Text::new("Ese trozo del evento no está", "That part of the event is not there"),
                )
                .because(Text {
                    es: format!("Del evento hay de {from} a {to}").into(),
                    en: format!("Of the event there is {from} to {to}").into(),
                })
        }
        ClipRefusal::Nothing => Problem::of(ErrorKind::Invalid).named(
            "clip_empty",
            Text::new("En ese tiempo no se emitió nada", "Nothing was broadcast in that time"),
        ),
    }
}

/// Nothing, or all, would be left of a film.
pub(crate) fn invalid_trim() -> Problem {
    Problem::of(ErrorKind::Invalid)
        .named("invalid_trim", Text::new("Ese recorte no sirve", "That trim won't do"))
        .because(Text::new(
            "El comienzo y el final han de estar dentro del video, en ese orden, y dejar fuera al menos un segmento (de 2 a 8 segundos)",
            "The beginning and the end must lie within the video, in this order, and leave out a segment at least (2 to 8 seconds)",
        ))
}

/// Of a video one version more is made at a time.
fn version_under_way() -> Problem {
    Problem::of(ErrorKind::Conflict).named(
        "version_under_way",
        Text::new(
            "Ya se está preparando otra versión del video",
            "Another version of the video is being made already",
        ),
    )
}

/// Chapters of which one is wrong, or a line, as `intro` has it.
pub(crate) fn invalid_chapters(fault: Fault, intro: &str) -> Problem {
    let sentence = |language| fault.sentence(intro, language).into();
    Problem::of(ErrorKind::Invalid)
        .named("invalid_chapters", Text::new("Esos capítulos no sirven", "Those chapters won't do"))
        .because(Text { es: sentence(Language::Es), en: sentence(Language::En) })
}

/// A start that cannot be meant.
pub(crate) fn invalid_start() -> Problem {
    Problem::of(ErrorKind::Invalid)
        .named("invalid_start", Text::new("Esa fecha de comienzo no sirve", "That start won't do"))
        .because(Text::new("De hoy a dentro de dos años", "From today to two years ahead"))
}

/// Nobody goes back so far.
pub(crate) fn invalid_dvr() -> Problem {
    Problem::of(ErrorKind::Invalid)
        .named("invalid_dvr", Text::new("Ese tiempo hacia atrás no sirve", "That way back won't do"))
        .because(Text::new("De 0 a 86400 segundos", "0 to 86,400 seconds"))
}

/// An address that cannot be called, or a secret that is none.
pub(crate) fn invalid_webhook() -> Problem {
    Problem::of(ErrorKind::Invalid)
        .named("invalid_webhook", Text::new("Ese aviso no sirve", "That webhook won't do"))
        .because(Text::new(
            "Una dirección http o https sin usuario, y un secreto de 16 a 128 caracteres visibles",
            "An http or https address without a user, and a secret of 16 to 128 visible characters",
        ))
}
