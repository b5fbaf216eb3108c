package convai2

// attribute is one kind of fact that a persona has. In its sentences "%" stands for the value.
type attribute struct {
	persona   string   // the sentence that states the fact
	questions []string // what a partner says to bring it up; where "%" stands, the partner names a value of its own
	replies   []string // ways to tell the fact
	values    []string // each word stands for one attribute alone
}

// attributes are ten facts of twelve values.
var attributes = []attribute{
	{"my favorite food is %.",
		[]string{"what do you like to eat ?", "i am so hungry , what should we cook ?", "i could eat % every day , what about you ?", "what is your favorite meal ?"},
		[]string{"i love eating %", "% is the best meal for me", "i cook % most nights", "give me % and i am happy"},
		[]string{"pizza", "sushi", "tacos", "pasta", "curry", "steak", "salad", "ramen", "pancakes", "dumplings", "burgers", "soup"}},
	{"i live in %.",
		[]string{"where do you live ?", "which city are you from ?", "i just moved to % , and you ?", "is it nice where you live ?"},
		[]string{"i live in %", "my home is in %", "i have a small house in %", "i come from %"},
		[]string{"boston", "chicago", "dallas", "denver", "miami", "london", "paris", "berlin", "tokyo", "sydney", "madrid", "toronto"}},
	{"i work as a %.",
		[]string{"what do you do for work ?", "how do you earn your money ?", "i am a % , what is your job ?", "did you have to work today ?"},
		[]string{"i work as a %", "my job is being a %", "they pay me to be a %", "i have been a % for years"},
		[]string{"teacher", "nurse", "farmer", "lawyer", "baker", "pilot", "plumber", "writer", "chef", "dentist", "soldier", "tailor"}},
	{"i have a pet %.",
		[]string{"do you have any pets ?", "i love animals , do you ?", "my % just woke me up , do you have a pet ?", "who waits for you at home ?"},
		[]string{"i have a % at home", "my pet is a %", "i take care of my %", "my % is my best friend"},
		[]string{"dog", "cat", "parrot", "hamster", "rabbit", "turtle", "snake", "goldfish", "pony", "lizard", "ferret", "duck"}},
	{"in my free time i like %.",
		[]string{"what do you do for fun ?", "do you have any hobbies ?", "i spend my weekends % , and you ?", "what are your plans for the weekend ?"},
		[]string{"i spend my free time %", "i really enjoy %", "% is what i do for fun", "you will find me % on weekends"},
		[]string{"fishing", "painting", "hiking", "knitting", "dancing", "gardening", "sailing", "climbing", "swimming", "running", "skiing", "bowling"}},
	{"my favorite color is %.",
		[]string{"what is your favorite color ?", "i want to paint my room , any ideas ?", "my new car is % , do you like that color ?", "what color do you wear most ?"},
		[]string{"% is the color i like", "i wear % all the time", "everything i own is %", "i paint things %"},
		[]string{"red", "blue", "green", "yellow", "purple", "orange", "black", "white", "pink", "brown", "silver", "golden"}},
	{"i listen to % music.",
		[]string{"what music do you listen to ?", "have you been to a concert lately ?", "i am listening to % right now , what do you like ?", "do you sing or play ?"},
		[]string{"i listen to % music", "i only play % songs", "my radio plays % all day", "i go to % concerts"},
		[]string{"jazz", "rock", "country", "opera", "blues", "metal", "folk", "disco", "reggae", "techno", "gospel", "punk"}},
	{"i drive a %.",
		[]string{"how do you get around ?", "what do you drive ?", "i drove my % here , what did you take ?", "is your commute long ?"},
		[]string{"i drive a %", "i bought a used %", "i get around in my %", "my old % still runs"},
		[]string{"truck", "van", "jeep", "scooter", "motorcycle", "tractor", "bus", "taxi", "convertible", "minivan", "bicycle", "limousine"}},
	{"i am allergic to %.",
		[]string{"is there anything that makes you sick ?", "are you allergic to anything ?", "i get sick from % , do you have allergies ?", "why are you sneezing ?"},
		[]string{"% makes me sick", "i am allergic to %", "the doctor says i must avoid %", "i stay away from %"},
		[]string{"pollen", "peanut", "milk", "egg", "dust", "wool", "shrimp", "wheat", "latex", "mold", "honey", "garlic"}},
	{"i spent my last vacation in a %.",
		[]string{"where did you go on vacation ?", "do you like to travel ?", "we slept in a % last summer , what about you ?", "have you been away this year ?"},
		[]string{"i slept in a % on my last trip", "my vacation was in a %", "i rent a % every summer", "we travel and stay in a %"},
		[]string{"tent", "hotel", "cabin", "castle", "hostel", "cottage", "lighthouse", "monastery", "boathouse", "palace", "treehouse", "barn"}},
}

// A question has one of these before it: a greeting in a dialogue's first turn, an interjection in the others.
var (
	greetings     = []string{"hello !", "hi there .", "hey , how are you ?", "good morning !", "nice to meet you ."}
	interjections = []string{"", "okay .", "cool !", "i see .", "wow !", "that is great .", "sounds good to me ."}
)

// Openers and closers go around a reply and say nothing. They make the texts many, so that no reply has to be said twice.
var (
	openers = []string{"", "well ,", "oh ,", "haha ,", "hmm ,", "honestly ,", "good question !", "sure ,", "let me think .",
		"as you may know ,", "hey ,", "to be fair ,"}
	closers = []string{".", "!", ". what about you ?", ". and you ?", ", i guess .", ". that is just me .", ". my mom says the same .",
		", believe it or not .", ". how nice of you to ask .", ". it makes me smile .", ", as always .", ". do you like that ?"}
)
