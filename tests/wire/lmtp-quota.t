# users: ann=restante ben=restante carl=restante
# set: quota_messages=1 quota_octets=2k quota_warn=0
# delivery: max_errors=100
# fault storage: box_stat 1 again 3
# fault storage: box_stat 6 again 2
# over quota at RCPT, by SIZE, and after DATA: 452 4.2.2; the others get it
!port lmtp
S~ 220 .*
C: LHLO me
S- *
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nRCPT TO:<ben>\r\nDATA\r\nSubject: x\r\n\r\n.
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 250 2.1.5.*
S~ 354.*
S~ 250 2\.0\.0 <ann>.*
S~ 250 2\.0\.0 <ben>.*
C: MAIL FROM:<a@x.org>
S~ 250 2.1.0.*
C: RCPT TO:<ann>
S~ 452 4\.2\.2 <ann> mailbox is full.*
C: RCPT TO:<carl>
S~ 250 2.1.5.*
C: RSET
S~ 250 .*
C: MAIL FROM:<a@x.org> SIZE=3000
S~ 250 2.1.0.*
C: RCPT TO:<carl>
S~ 452 4\.2\.2 <carl> .*full.*
C: RSET
S~ 250 .*
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<carl>\r\nDATA
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
C* 300 0123456789\r\n
C: .
S~ 452 4\.2\.2 <carl> .*full.*
M: carl 0
C: QUIT
S~ 221 .*
!end
M: ann 1
M: ben 1
