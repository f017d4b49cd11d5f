/* SPDX-License-Identifier: Apache-2.0 */
/*
 * from_kind - whether a line is a From_ line. Pure.
 *
 * Programs write them in their own way: without a sender, with a day and month in their user's
 * language, with a zone, or without any date. And not every program quotes lines of a letter that
 * begin with "From ". So a date decides, in whatever words; a line without one counts only if it
 * has nothing that a sentence would have, and the header of a message follows.
 */
#ifndef MBOX_FROM_KIND_H
#define MBOX_FROM_KIND_H

#include <stdbool.h>
#include <stddef.h>

enum from_kind {
	FROM_NOT,
	FROM_MAYBE, /* if a header field follows */
	FROM_LINE
};

/* Of a line without its end. */
enum from_kind from_kind(const char *line, size_t n);
/* True if this line, or its beginning, is a header field. */
bool from_field(const char *line, size_t n);
/* True if a message begins with these bytes, which are all or a part of the text from there on. */
bool from_begins(const char *text, size_t n);

#endif
