//! The words by language, with their sources.
//!
//! A word is included if a carrier, an authority or a vendor requires it, or if it is in use and unambiguous. Words that as often
//! answer a question, cancel an appointment or leave a menu (`no`, `yes`, `Ende`, `iptal`, `отмена`, `取消`, `volver`) are left to
//! the tenants. So is `resume`, which some vendors treat as an opt-in, because job applicants write it too. Don't remove words:
//! that would lose opt-outs.

use super::sources::{
    ADOBE, ANATEL, AWS, BIRD, BRAZE, BREVO, CNIL, COMMON_USE, CONCEPTS2CODE, CTIA, CWTA, FCC, PLIVO, SAKARI,
    SENT, SINCH, SINCH_CONSENTS, SINCH_TOLL_FREE, Source, TELNYX, TWILIO, TWILIO_CANADA, TWILIO_PROXY,
};

/// Words with their sources.
pub(super) type Words = &'static [(&'static str, &'static [&'static Source])];

/// The words of one language.
#[derive(Debug)]
pub(super) struct Language {
    /// ISO 639-1 code.
    pub(super) code: &'static str,
    /// Words that opt out. Accents are ignored.
    pub(super) stop: Words,
    /// Words that opt in again.
    pub(super) start: Words,
}

impl Language {
    /// Whether the language pairs `I` with `ı`, and `İ` with `i`.
    pub(super) fn is_turkic(&self) -> bool {
        matches!(self.code, "az" | "tr")
    }
}

/// Words that are part of every language below, because messages in all languages ask people to write STOP.
pub(super) static OF_EVERY_LANGUAGE: Language = Language {
    code: "every language",
    stop: &[(
        "stop",
        &[
            &CTIA,
            &FCC,
            &CWTA,
            &CNIL,
            &ADOBE,
            &AWS,
            &BIRD,
            &BRAZE,
            &BREVO,
            &PLIVO,
            &SINCH,
            &SINCH_CONSENTS,
            &TELNYX,
            &TWILIO,
            &TWILIO_PROXY,
        ],
    )],
    start: &[("start", &[&ADOBE, &AWS, &BIRD, &BRAZE, &BREVO, &PLIVO, &SINCH_CONSENTS, &TELNYX, &TWILIO])],
};

pub(super) static LANGUAGES: &[Language] = &[
    Language {
        code: "ar",
        stop: &[("إيقاف", &[&COMMON_USE]), ("توقف", &[&COMMON_USE]), ("إلغاء الاشتراك", &[&COMMON_USE])],
        start: &[],
    },
    Language { code: "az", stop: &[("dayan", &[&COMMON_USE])], start: &[] },
    Language { code: "da", stop: &[], start: &[] },
    Language {
        code: "de",
        stop: &[
            ("stopp", &[&COMMON_USE]),
            ("abmelden", &[&COMMON_USE]),
            ("abbestellen", &[&COMMON_USE]),
            ("halt", &[&BIRD]),
        ],
        start: &[("anmelden", &[&COMMON_USE])],
    },
    Language {
        code: "el", stop: &[("στοπ", &[&COMMON_USE]), ("διακοπή", &[&COMMON_USE])], start: &[]
    },
    Language {
        code: "en",
        stop: &[
            ("stopall", &[&BIRD, &BRAZE, &CONCEPTS2CODE, &TELNYX, &TWILIO, &TWILIO_PROXY]),
            ("stop all", &[&PLIVO, &TELNYX]),
            (
                "unsubscribe",
                &[
                    &CTIA,
                    &FCC,
                    &ADOBE,
                    &AWS,
                    &BIRD,
                    &BRAZE,
                    &PLIVO,
                    &SINCH,
                    &SINCH_CONSENTS,
                    &TELNYX,
                    &TWILIO,
                    &TWILIO_PROXY,
                ],
            ),
            ("unsub", &[&PLIVO, &TWILIO_CANADA]),
            (
                "cancel",
                &[&CTIA, &FCC, &ADOBE, &AWS, &BIRD, &BRAZE, &PLIVO, &SINCH, &TELNYX, &TWILIO, &TWILIO_PROXY],
            ),
            (
                "end",
                &[&CTIA, &FCC, &ADOBE, &AWS, &BIRD, &BRAZE, &PLIVO, &SINCH, &TELNYX, &TWILIO, &TWILIO_PROXY],
            ),
            (
                "quit",
                &[&CTIA, &FCC, &ADOBE, &AWS, &BIRD, &BRAZE, &PLIVO, &SINCH, &TELNYX, &TWILIO, &TWILIO_PROXY],
            ),
            ("revoke", &[&FCC, &SINCH, &TWILIO]),
            ("opt out", &[&FCC]),
            ("opt-out", &[&AWS, &SAKARI, &SINCH]),
            ("optout", &[&AWS, &SAKARI, &SINCH, &TWILIO]),
            // CTIA's example of an opt-out in plain words: "please opt me out".
            ("opt me out", &[&CTIA]),
            ("remove", &[&AWS, &CONCEPTS2CODE]),
            // AWS doesn't say what this stands for.
            ("td", &[&AWS]),
            // French, but required on every number in Canada, and by AWS on numbers in the USA.
            ("arret", &[&CWTA, &AWS, &BIRD, &SINCH_TOLL_FREE, &TWILIO_PROXY]),
            ("arrete", &[&TWILIO_PROXY]),
            ("arrett", &[&TWILIO_PROXY]),
        ],
        start: &[
            ("unstop", &[&ADOBE, &AWS, &BIRD, &BRAZE, &PLIVO, &TELNYX, &TWILIO, &TWILIO_PROXY]),
            ("subscribe", &[&ADOBE, &SENT, &SINCH_CONSENTS]),
            ("resume all", &[&PLIVO]),
            ("nonarret", &[&BIRD, &SINCH_TOLL_FREE]),
            ("optin", &[&COMMON_USE]),
            ("opt-in", &[&COMMON_USE]),
            ("opt in", &[&COMMON_USE]),
        ],
    },
    Language {
        code: "es",
        stop: &[
            ("baja", &[&COMMON_USE]),
            ("dar de baja", &[&COMMON_USE]),
            ("darme de baja", &[&COMMON_USE]),
            ("parar", &[&COMMON_USE]),
            ("cancelar", &[&COMMON_USE]),
            ("cancelar suscripción", &[&COMMON_USE]),
            ("desuscribir", &[&COMMON_USE]),
            ("detener", &[&BIRD, &SINCH_CONSENTS]),
            ("salir", &[&SINCH_CONSENTS]),
        ],
        start: &[("alta", &[&COMMON_USE]), ("empezar", &[&COMMON_USE]), ("recibir", &[&SINCH_CONSENTS])],
    },
    Language { code: "fi", stop: &[], start: &[] },
    Language {
        code: "fr",
        stop: &[
            ("arrêt", &[&CWTA, &AWS, &BIRD, &SINCH_TOLL_FREE, &TWILIO_PROXY]),
            ("arrête", &[&TWILIO_PROXY]),
            ("arrett", &[&TWILIO_PROXY]),
            ("désabonner", &[&COMMON_USE]),
            ("désabonnement", &[&COMMON_USE]),
            ("désinscription", &[&COMMON_USE]),
        ],
        start: &[
            ("nonarret", &[&BIRD, &SINCH_TOLL_FREE]),
            ("abonner", &[&COMMON_USE]),
            ("reprendre", &[&COMMON_USE]),
        ],
    },
    Language {
        code: "he",
        stop: &[
            ("הסר", &[&COMMON_USE]),
            ("הסרה", &[&COMMON_USE]),
            ("הסר אותי", &[&COMMON_USE]),
            ("עצור", &[&COMMON_USE]),
        ],
        start: &[("התחל", &[&COMMON_USE])],
    },
    Language {
        code: "hi",
        stop: &[("बंद", &[&COMMON_USE]), ("रोकें", &[&COMMON_USE])],
        start: &[("शुरू", &[&COMMON_USE])],
    },
    Language { code: "id", stop: &[("berhenti", &[&COMMON_USE])], start: &[] },
    Language {
        code: "it",
        stop: &[
            ("annulla", &[&COMMON_USE]),
            ("basta", &[&COMMON_USE]),
            ("disiscrivi", &[&COMMON_USE]),
            ("ferma", &[&BIRD]),
        ],
        start: &[("iscrivi", &[&COMMON_USE])],
    },
    Language { code: "ko", stop: &[("수신거부", &[&COMMON_USE])], start: &[] },
    Language {
        code: "mr", stop: &[("बंद", &[&COMMON_USE]), ("थांबा", &[&COMMON_USE])], start: &[]
    },
    NORWEGIAN_BOKMAL,
    Language {
        code: "nl",
        stop: &[("afmelden", &[&COMMON_USE]), ("uitschrijven", &[&COMMON_USE])],
        start: &[],
    },
    Language { code: "no", ..NORWEGIAN_BOKMAL },
    Language { code: "pl", stop: &[("zatrzymaj", &[&BIRD])], start: &[] },
    Language {
        code: "pt",
        stop: &[
            ("sair", &[&ANATEL]),
            ("parar", &[&BIRD, &SINCH_CONSENTS]),
            ("cancelar", &[&SINCH_CONSENTS]),
            ("descadastrar", &[&COMMON_USE]),
            ("remover", &[&COMMON_USE]),
        ],
        start: &[
            ("iniciar", &[&COMMON_USE]),
            ("quero receber", &[&COMMON_USE]),
            ("voltar", &[&SINCH_CONSENTS]),
            ("voltar a receber", &[&COMMON_USE]),
            ("receber", &[&SINCH_CONSENTS]),
        ],
    },
    Language {
        code: "ru",
        stop: &[
            ("стоп", &[&COMMON_USE]),
            ("отписаться", &[&COMMON_USE]),
            ("отписка", &[&COMMON_USE]),
            ("остановить", &[&BIRD]),
        ],
        start: &[("старт", &[&COMMON_USE]), ("подписаться", &[&COMMON_USE])],
    },
    Language {
        code: "sv",
        stop: &[("stopp", &[&COMMON_USE]), ("avsluta", &[&COMMON_USE])],
        start: &[("starta", &[&COMMON_USE])],
    },
    Language {
        code: "tr",
        stop: &[
            ("ret", &[&COMMON_USE]),
            ("dur", &[&COMMON_USE]),
            ("abonelikten çık", &[&COMMON_USE]),
            // From keyboards without a dotless i.
            ("abonelikten cik", &[&COMMON_USE]),
        ],
        start: &[],
    },
    Language {
        code: "uk", stop: &[("стоп", &[&COMMON_USE]), ("відписатися", &[&COMMON_USE])], start: &[]
    },
    Language {
        code: "zh",
        stop: &[("停止", &[&COMMON_USE]), ("退订", &[&COMMON_USE]), ("退訂", &[&COMMON_USE])],
        start: &[],
    },
];

const NORWEGIAN_BOKMAL: Language =
    Language { code: "nb", stop: &[("unsub", &[&BREVO]), ("stopp", &[&COMMON_USE])], start: &[] };
