# mail: ann=plain,two-lines
# fault storage: mbox_info 1 lie octets +7
# fault storage: mbox_info 2 again 3
# a size that was wrong in the list is right when the message is announced, and from then on
S: +OK restante ready
C: USER ann
S~ \+OK.*
C: PASS restante
S: +OK 2 messages
C: LIST 1
S: +OK 1 191
C: RETR 1
S: +OK 184 octets
S. this is a letter.
C: LIST 1
S: +OK 1 184
C: LIST 2
S: +OK 2 182
C: STAT
S: +OK 2 366
C: QUIT
S: +OK bye
