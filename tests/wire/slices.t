# mail: ann=plain,dot-lines
# fault storage: mbox_open 1 again 3
# fault storage: mbox_info 1 again 3
# fault storage: mbox_info 5 again 3
# fault storage: mbox_commit 1 again 3
# fault storage: msg_read * short 1
# long work in slices, one-byte reads: the client notices nothing
S: +OK restante ready
C: USER ann
S~ \+OK.*
C: PASS restante
S: +OK 2 messages
C: STAT
S~ \+OK 2 \d+
C: RETR 2
S~ \+OK \d+ octets
S. ....
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
