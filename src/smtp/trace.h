/* SPDX-License-Identifier: Apache-2.0 */
/* trace - the header lines final delivery adds. */
#ifndef RST_SMTP_TRACE_H
#define RST_SMTP_TRACE_H

#include "smtp/dsession.h"

#define TRACE_MAX 2600

/* "Received: ..." with CRLF; returns its length. */
size_t trace_received(const struct dsession *s, char to[TRACE_MAX]);
/* "Return-Path: ...", "Delivered-To: ..." of one target. */
size_t trace_head(const struct dsession *s, const struct target *t, char to[TRACE_MAX]);

#endif
