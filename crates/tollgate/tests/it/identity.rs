//! Who is let in, over HTTP.
