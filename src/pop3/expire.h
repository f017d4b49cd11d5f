/* SPDX-License-Identifier: Apache-2.0 */
/* expire - what QUIT deletes besides what the client asked for. */
#ifndef RST_POP3_EXPIRE_H
#define RST_POP3_EXPIRE_H

#include "pop3/pop3.h"

/* What retention adds is marked for deletion. True: WORK_EXPIRE has something to ask first. */
bool expire_begin(struct pop3 *s);
enum turn expire_work(struct pop3 *s);
/* The domain's count, under the permit and before the commit. */
void expire_count_begin(struct pop3 *s);

#endif
