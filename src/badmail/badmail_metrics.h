/* SPDX-License-Identifier: Apache-2.0 */
/* badmail_metrics - the metrics of Badmail, from memory. */
#ifndef RST_BADMAIL_BADMAIL_METRICS_H
#define RST_BADMAIL_BADMAIL_METRICS_H

#include "base/expo.h"
#include "conf/conf.h"

/* Admin thread. */
void badmail_metrics(struct expo *e, const struct conf *c);

#endif
