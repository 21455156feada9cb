//! The sources of the words: rules of carriers and authorities, and pages of vendors. Pages are as of 2026-11-28.

/// A set of rules, or a vendor's page.
#[derive(Debug)]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "read by people, and by the test that compares the page of words")
)]
pub(super) struct Source {
    pub(super) name: &'static str,
    /// What the source is, for `docs/opt-out-words.md`.
    pub(super) what: &'static str,
    /// The address of the page, if there is one.
    pub(super) url: Option<&'static str>,
}

const fn page(name: &'static str, what: &'static str, url: &'static str) -> Source {
    Source { name, what, url: Some(url) }
}

pub(super) static ADOBE: Source = page(
    "Adobe",
    "Journey Optimizer, words heard by default where Infobip, Sinch or Twilio sends",
    "https://experienceleague.adobe.com/en/docs/journey-optimizer/using/channels/sms/sms-opt-out",
);
pub(super) static ANATEL: Source = page(
    "Anatel",
    "rule on operators' advertising in Brazil, 2012, as reported by O Estado de S. Paulo",
    "https://link.estadao.com.br/noticias/geral,publicidade-via-sms-podera-ser-bloqueada,10000035375",
);
pub(super) static AWS: Source = page(
    "AWS",
    "End User Messaging SMS, required opt-out keywords; and what lifts them on toll-free numbers",
    "https://docs.aws.amazon.com/sms-voice/latest/userguide/keywords-required.html",
);
pub(super) static BIRD: Source = page(
    "Bird",
    "opt-in and opt-out compliance, English and other languages",
    "https://docs.bird.com/applications/channels/channels/supported-channels/sms/concepts/opt-in-and-opt-out-compliance",
);
pub(super) static BRAZE: Source = page(
    "Braze",
    "opt-in and opt-out keywords",
    "https://www.braze.com/docs/user_guide/channels/sms_mms_and_rcs/message_features_and_optimization/keyword_processing/optin_optout",
);
pub(super) static BREVO: Source = page(
    "Brevo",
    "opt-out words by country: STOP, and UNSUB in Norway",
    "https://help.brevo.com/hc/en-us/articles/115001945670",
);
pub(super) static CNIL: Source = page(
    "CNIL",
    "French data protection authority on advertising by SMS, as quoted on 2025-08-11",
    "https://www.universfreebox.com/article/584919/le-saviez-vous-bloquer-un-sms-pub-est-aussi-simple-que-dy-repondre-pour-les-abonnes-free-mobile-et-des-autres-operateurs",
);
pub(super) static CONCEPTS2CODE: Source = page(
    "Concepts2Code",
    "opt-out and opt-in of text messaging",
    "https://support.concepts2code.com/support/solutions/articles/44002373096-opt-out-and-opt-in-of-text-messaging",
);
pub(super) static CTIA: Source = page(
    "CTIA",
    "Messaging Principles and Best Practices, May 2023, 5.1.3, as quoted in public repositories",
    "https://api.ctia.org/wp-content/uploads/2023/05/230523-CTIA-Messaging-Principles-and-Best-Practices-FINAL.pdf",
);
pub(super) static CWTA: Source = page(
    "CWTA",
    "Canadian Common Short Code guidelines, mandatory keywords, as given by Infobip",
    "https://support.infobip.com/docs/essentials/usa-and-canada-compliance/canadian-mandatory-keyword-responses",
);
pub(super) static FCC: Source = page(
    "FCC",
    "47 CFR 64.1200(a)(10), FCC 24-24, 89 FR 15756",
    "https://www.govinfo.gov/content/pkg/FR-2024-03-05/html/2024-04587.htm",
);
pub(super) static PLIVO: Source =
    page("Plivo", "SMS opt-out (DND) service", "https://www.plivo.com/docs/sms/concepts/dnd-service/");
pub(super) static SAKARI: Source = page(
    "Sakari",
    "carriers' opt-out keywords",
    "https://support.sakari.io/hc/en-us/articles/360040097351-Sakari-support-for-carrier-opt-out-keywords",
);
pub(super) static SENT: Source =
    page("Sent", "two-way messaging", "https://docs.sent.dm/reference/two-way-messaging");
pub(super) static SINCH: Source = page(
    "Sinch",
    "standard opt-out keywords of the USA and Canada",
    "https://community.sinch.com/t5/SMS/Standard-opt-out-keywords-and-advanced-alternatives-for-USA-and/ta-p/14159",
);
pub(super) static SINCH_CONSENTS: Source = page(
    "Sinch consents",
    "default keywords of the Conversation API, English, Spanish and Portuguese",
    "https://community.sinch.com/t5/Conversation-API/Can-I-customize-opt-in-and-opt-out-keywords-for-use-with-consent/m-p/18980",
);
pub(super) static SINCH_TOLL_FREE: Source = page(
    "Sinch toll-free",
    "how the network of toll-free numbers hears STOP, and ARRET",
    "https://community.sinch.com/t5/Toll-Free-Numbers-TFN/How-does-STOP-work-on-a-Toll-Free-number/ta-p/15313",
);
pub(super) static TELNYX: Source = page(
    "Telnyx",
    "advanced opt-in and opt-out",
    "https://developers.telnyx.com/docs/messaging/messages/advanced-opt-in-out",
);
pub(super) static TWILIO: Source = page(
    "Twilio",
    "default keywords of Advanced Opt-Out",
    "https://www.twilio.com/docs/messaging/tutorials/advanced-opt-out.md",
);
pub(super) static TWILIO_CANADA: Source = page(
    "Twilio Canada",
    "mandatory keyword responses in Canada",
    "https://support.twilio.com/hc/en-us/articles/223181928-Industry-standards-for-Mandatory-keyword-responses-required-in-Canada-HELP-AIDE-INFO-STOP-ARRET",
);
pub(super) static TWILIO_PROXY: Source =
    page("Twilio Proxy", "opt-out keywords", "https://www.twilio.com/docs/proxy/opt-out-keywords");

/// Words that no carrier or vendor requires. They are in use in public messages or code, or an earlier version of the gateway
/// understood them, so that removing them would lose opt-outs.
pub(super) static COMMON_USE: Source = Source {
    name: "common use",
    what: "in use in public messages or code, and of no carrier's or vendor's list",
    url: None,
};
