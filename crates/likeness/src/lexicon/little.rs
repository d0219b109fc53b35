//! The little words by what they may stand for, for questions that differ in little else.

/// Come and go with the wording: left out of a frame altogether.
pub const ARTICLES: &str = "
a an the s
der die das den dem des ein eine einen einem einer eines
le la les l un une des de d du
";

/// Say nothing by themselves, or say it otherwise: pronouns, forms of be, have and do, prepositions of place.
pub const SOFT: &str = "
this that these those there here it its is are am be been being do does done has have had having was were
i me we us you he she they them him her in on at of for and then so as than too also just very only d t m re ve not
what's that's one ones please let tell gives give make member members something anything if but any
die das ist sind bin bist sei sein wird werden worden habe hat haben ich mir mich wir uns du dir dich sie ihnen ihr
er ihn ihm es man euch in im an am auf bei beim und oder denn doch mal da dann hier dort dazu davon dafuer damit
daran darauf dabei bitte eigentlich sich selbst jetzt gerade gibt geht gehen machen mache macht tun tue tut
etwas so dass ob lassen lasse laesst bekomme bekommen gern gerne dies diese dieser dieses diesem diesen
hatte hatten wurde wurden
ce cet cette ces c est sont suis etre ete etait ai as a ont avons avez avoir j je m me moi tu te t toi il elle on nous
vous ils elles se lui leur y en qui que qu quoi dont dans pour sur chez et mais donc or car si ne n cela ca va vais
aller faire fait faites fais quelque chose meme svp merci au aux
";

/// Each line means one thing; one of its words for another changes nothing.
pub const LIKE: &str = "
what which
was welche welcher welches welchen welchem
quel quelle quels quelles quoi que lequel laquelle
who whom
can could may might
kann kannst koennen koennt koennte darf duerfen
peut peux puis puisse pouvez pouvons peuvent
must need have
muss muessen
dois doit devoir faut
should shall
soll sollen sollte
will would
to into onto
from off of out
by with per
mit durch per pro
avec par
wo wohin woher
warum wieso weshalb
wofuer wozu fuer
my mine
our ours
each every
jede jeder jedes alle
tout toute tous toutes
mein meine meinen meinem meiner meines
unser unsere unseren unserem unserer
mon ma mes
notre nos
votre vos
ton ta tes
son sa ses
";

/// Ask for whatever it is.
pub const OPEN: &str = "
what which was welche welcher welches welchen welchem quel quelle quels quelles quoi lequel laquelle
";

/// Ask for one thing in particular.
pub const ASKING: &str = "
who whom whose when where why how wer wen wem wessen wann wo wohin woher warum wieso weshalb wie
qui quand ou pourquoi comment combien
";

/// Say which way.
pub const TURNING: &str = "
from to into onto off by out up down von vom nach zu zum zur aus ab ein hin her vers depuis par
";

/// Make a question another one where the other side has none of them.
pub const NARROWING: &str = "
only nur seulement uniquement except again erneut
";
