/* SPDX-License-Identifier: Apache-2.0 */
/* expire - messages that QUIT deletes besides those the client deleted. */
#ifndef RST_POP3_EXPIRE_H
#define RST_POP3_EXPIRE_H

#include "pop3/pop3.h"

/* Marks for deletion what retention says must go. True: WORK_EXPIRE has to ask the store first. */
bool expire_begin(struct pop3 *s);
enum turn expire_work(struct pop3 *s);
/* Tells the domain's count; under the permit, before the commit. */
void expire_count_begin(struct pop3 *s);

#endif
