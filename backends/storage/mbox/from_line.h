/* SPDX-License-Identifier: Apache-2.0 */
/* from_line - the lines before a message that is appended: From_, and this recipient's own head
 * lines. */
#ifndef MBOX_FROM_LINE_H
#define MBOX_FROM_LINE_H

#include <restante/module.h>

#include "parse.h"

#define SENDER_MAX 250

/* Gives the sender for the From_ line (SENDER_MAX + 1 bytes), as one word: that of Return-Path,
 * which is a head line if the host put one there, or MAILER-DAEMON for a null sender or without
 * Return-Path. */
void from_line_sender(struct pm_str head, char *sender);
/* The same, of a message without head lines (fd, as stored): the host puts a single recipient's
 * Return-Path first in the message itself. Only the first line is looked at: those below may be
 * anybody's. */
void from_line_sender_in(int fd, char *sender);
/* Makes `before`, the From_ line and the head lines; malloc'd. NULL: no memory. */
char *from_line_make(const char *before, const char *sender, int64_t received_ms, const char *head,
		     size_t head_n, size_t *ret_n);
/* Tells how a scan will see the message made of lead without `before` and the file's `size` bytes.
 * 0 or an errno. */
int from_line_foresee(const char *lead, size_t lead_n, int fd, uint64_t size, enum mbox_quoting how,
		      struct mbox_found *ret);

#endif
