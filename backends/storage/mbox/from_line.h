/* SPDX-License-Identifier: Apache-2.0 */
/* from_line - the lines before a message that is appended: From_, and this recipient's own head
 * lines. */
#ifndef MBOX_FROM_LINE_H
#define MBOX_FROM_LINE_H

#include <restante/module.h>

#include "parse.h"

#define SENDER_MAX 250

/* The sender for the From_ line (SENDER_MAX + 1 bytes): that of Return-Path, a head line if the
 * host put one there, as one word; MAILER-DAEMON for the null one, or without it. */
void from_line_sender(struct pm_str head, char *sender);
/* `before`, From_ line, head lines; malloc'd. NULL: no memory. */
char *from_line_make(const char *before, const char *sender, int64_t received_ms, const char *head,
		     size_t head_n, size_t *ret_n);
/* What the message - lead without `before`, the file's `size` bytes - will be in a scan. 0 or an
 * errno. */
int from_line_foresee(const char *lead, size_t lead_n, int fd, uint64_t size, enum mbox_quoting how,
		      struct mbox_found *ret);

#endif
