# mail: ann=plain,two-lines
# fault storage: mbox_commit 1 error TEMP
# fault storage: mbox_commit 2 error UNKNOWN
# never +OK for a commit nobody is sure of; before the commit point nothing is deleted
S: +OK restante ready
C: USER ann
S~ \+OK.*
C: PASS restante
S: +OK 2 messages
C: DELE 1
S~ \+OK.*
C: QUIT
S: -ERR [SYS/TEMP] mailbox not changed
!end
!again
S: +OK restante ready
C: USER ann
S~ \+OK.*
C: PASS restante
S: +OK 2 messages
C: DELE 1
S~ \+OK.*
C: QUIT
S~ -ERR \[SYS/TEMP\] .*not known.*
!end
!again
S: +OK restante ready
C: USER ann
S~ \+OK.*
C: PASS restante
S: +OK 2 messages
C: DELE 1
S~ \+OK.*
C: QUIT
S: +OK bye
!again
S: +OK restante ready
C: USER ann
S~ \+OK.*
C: PASS restante
S: +OK 1 message
C: QUIT
S: +OK bye
