//! Characters that a web page writes out as entities.
//!
//! What must hold: only the entities of punctuation are read, so that other
//! text with an ampersand stays as it is; a line without any is not copied.

use std::borrow::Cow;

const TABLE: &[(&str, &str)] = &[
    ("&#x27;", "'"),
    ("&#39;", "'"),
    ("&apos;", "'"),
    ("&#x60;", "`"),
    ("&#96;", "`"),
    ("&quot;", "\""),
    ("&#34;", "\""),
    ("&lsquo;", "‘"),
    ("&rsquo;", "’"),
    ("&ldquo;", "“"),
    ("&rdquo;", "”"),
    ("&nbsp;", " "),
    ("&lt;", "<"),
    ("&gt;", ">"),
    // Last, so that what it yields is not read again.
    ("&amp;", "&"),
];

/// The line with its characters in place of their entities.
pub fn replaced(line: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(line);
    if !line.contains('&') {
        return text;
    }
    for (entity, character) in TABLE {
        if text.contains(entity) {
            text = Cow::Owned(text.replace(entity, character));
        }
    }
    text
}
