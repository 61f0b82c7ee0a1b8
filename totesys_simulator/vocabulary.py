"""What the simulated business consists of: its people, places and things, and rows made of them.

All of it is fiction. What is deliberate are the traps, each met in the real data: apostrophes in
names of people and countries, commas and dashes in company names, leading zeros in postal codes,
phones and item codes, absent second lines and districts, slashes in paths, and a location that
somebody misspelt. The functions are pure: chance and time come in as arguments.
"""

import string
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple, TypeAlias

DAY = timedelta(days=1)

# Name, location, manager. "Leds" is a misspelling that the source carries as it is.
DEPARTMENTS = (
    ("Sales", "Manchester", "Marjorie Pell"),
    ("Purchasing", "Salford", "Tobias Crane"),
    ("Production", "Leeds", "Edith Marlowe"),
    ("Dispatch", "Leds", "Gordon Wick"),
    ("Finance", "Manchester", "Harriet Quill"),
    ("Facilities", "Salford", "Desmond Farrow"),
    ("Communications", "Leeds", "Lottie Vane"),
    ("HR", "Manchester", "Percy Loom"),
)
LOCATIONS = ("Manchester", "Salford", "Leeds", "Leds", "Sheffield")

# First name, last name, department.
STAFF = (
    ("Niamh", "O'Keefe", 1),
    ("Barnaby", "Thistle", 1),
    ("Odile", "Hargrave", 2),
    ("Rufus", "Pennock", 3),
    ("Saskia", "Wold", 1),
    ("Magnus", "Tarn", 8),
    ("Pippa", "Lockhart", 5),
    ("Ivor", "Sedge", 3),
    ("Delia", "Moss", 2),
    ("Casper", "Holloway", 6),
    ("Wanda", "Birkett", 7),
    ("Felix", "DeWinter", 4),
    ("Agnes", "Ridley", 5),
    ("Lorcan", "Fell", 3),
    ("Mabel", "Stroud", 2),
    ("Quentin", "Dale", 4),
    ("Rosalind", "Heath", 7),
    ("Silas", "Beck", 6),
    ("Una", "Garside", 1),
    ("Vernon", "Ashby", 8),
)
EMAIL_DOMAIN = "terrifictotes.example"

DPRK = "Democratic People's Republic of Korea"
SVALBARD = "Svalbard & Jan Mayen Islands"
BOUVET = "Bouvet Island (Bouvetoya)"
# Line 1, line 2, district, city, postal code, country, phone.
ADDRESSES = (
    ("14 Linnet Row", None, None, "Port Marrow", "20418", "Norway", "1902 447180"),
    ("0381 Bell Lane", "Cooper Yard", None, "Saltby", "07731-4402", "Kenya", "0114 902377"),
    ("77 Tanner Steps", None, "Fenshire", "New Orford", "60157", "Peru", "7340 118265"),
    ("2206 Juniper Wharf", "Lantern Quay", "Westmarch", "Hollin Bay", "83920", DPRK, "4418 027736"),
    ("9 Copper Mews", None, "Fenshire", "Great Dunnock", "01482", "Japan", "0290 664173"),
    ("518 Orchard Fold", None, None, "Kestrel Point", "55670-0913", "Samoa", "8215 730094"),
    ("640 Marl Pit Road", None, "Upper Vale", "Thornwick", "38104", "Canada", "0761 552308"),
    ("31 Weavers Cross", "Spindle House", None, "Lower Ebb", "09266-7180", "Sudan", "3377 810462"),
    ("4127 Sable Drive", None, None, "Quarrington", "71459", "United Kingdom", "6052 394817"),
    ("085 Pilgrim Bank", None, "Westmarch", "Ashmere", "24815-0036", "Malta", "0038 271590"),
    ("2750 Chandler Green", "Rope Walk", None, "East Tolland", "66302", "Guam", "5129 083644"),
    ("16 Millrace Court", None, None, "Fallowfield", "03597", "India", "2846 915073"),
    ("903 Otter Bridge", None, "Upper Vale", "Wexcombe", "47120-5518", "Tuvalu", "0407 638219"),
    ("5518 Hawthorn Rise", None, None, "South Brindle", "90873", "Mongolia", "9760 142385"),
    ("27 Lamplighter Way", "Wick Court", "Fenshire", "Pellbrook", "12046", "Oman", "1583 709426"),
    ("0069 Sorrel Close", None, None, "Mount Avery", "58391-2207", "Greenland", "0926 457301"),
    ("372 Granary Street", None, "Lakeside", "Old Rennick", "40765", "Senegal", "4091 826537"),
    ("8140 Beacon Hollow", "Pier Two", None, "Cape Sorley", "06618-9342", SVALBARD, "0653 290718"),
    ("45 Drover Gate", None, "Westmarch", "Harrowby", "77231", "Paraguay", "7214 503869"),
    ("1196 Mill Parade", None, None, "Haddon", "31508", "Trinidad and Tobago", "3805 671942"),
    ("61 Fern Terrace", None, "Upper Vale", "Brackenford", "08954-1170", BOUVET, "0182 346095"),
    ("7303 Anchor Street", "Pier Six", None, "Gullhaven", "64027", "Monaco", "8630 219754"),
    ("238 Clock Hill", None, "Lakeside", "Aldous", "19385", "Republic of Korea", "0075 984162"),
    ("5 Nettle Passage", None, None, "Penhallow", "52746-6081", "Cote d'Ivoire", "5497 120683"),
    ("4819 Toll Avenue", None, "Fenshire", "Crowmarsh", "00913", "Cook Islands", "2368 457910"),
    ("092 Bobbin Alley", "Loom Court", None, "Stoneleat", "86170", "Aruba", "0819 305476"),
    ("1534 Raven Crescent", None, "Westmarch", "Tidewell", "43692-0758", "Chad", "6743 098251"),
    ("20 Saffron Place", None, None, "Nether Cotes", "95018", "Republic of Korea", "1470 862395"),
    ("6687 Kiln Bottom", None, "Lakeside", "Amberstead", "27461", "Netherlands", "0546 713028"),
    ("318 Foundry", "Dock Four", "Fenshire", "Merrivale", "04203-5597", "Macao", "9038 264751"),
)
ADDRESS_SECOND_LINES = (None, "Sailmaker Yard", "Cutters Court", "Bale House", "Quay Lofts")

# Legal name, legal address, commercial contact, delivery contact.
COUNTERPARTIES = (
    ("Alder, Birch and Rowan", 15, "Mungo Alder", "Dr. Petra Lisle"),
    ("Quillfeather and Daughters", 28, "Ottilie Quillfeather", "Jonah Strand III"),
    ("Marrow Inc", 2, "Hester Blythe", "Amos Tully"),
    ("Fennimore LLC", 29, "Clement Fennimore", "Isolde Parr"),
    ("Ketteridge, Noakes and Shaw", 22, "Basil Noakes", "Verity Shaw"),
    ("Ropewalk Group", 23, "Leopold Ames", "Greta Hollis"),
    ("Pargeter, Oddie and Fitch", 16, "Ms. Winifred Oddie", "Liam O'Dell"),
    ("Garland - Voss", 16, "Rupert Voss", "Imelda Garland"),
    ("Thimblewick LLC", 5, "Cora Thimblewick", "Edmund Lacey"),
    ("Bramwell - Heron", 10, "Tess Bramwell", "Albie Heron"),
    ("Underhill - Crabbe", 17, "Maud Underhill", "Stanley Crabbe PhD"),
    ("Larkspur - Dunne", 7, "Ada Larkspur", "Noel Dunne"),
    ("Pocock, Wren and Tilley", 5, "Hugo Wren", "Sadie Tilley"),
    ("Hessian, Jute and Flax", 30, "Mrs. Olwen Flax", "Cyril Jute"),
    ("Nightingale, Poole and Rudd", 17, "Fergus Rudd", "Bettina Poole DVM"),
    ("Cartwright, Seward and Bligh", 14, "Enid Bligh", "Walter Seward"),
    ("Tamarind Group", 17, "Dr. Lucian Frost", "Opal Finch"),
    ("Selvedge and Sons", 3, "Jasper Selvedge", "Myrtle Gaunt"),
    ("Overlocke, Hemming and Tuck", 18, "Dinah Hemming", "Ralph Tuck"),
    ("Yarrow, Madder and Woad", 2, "Peregrine Woad", "Juno Madder"),
)

CURRENCIES = ("GBP", "USD", "EUR")
PAYMENT_TYPES = ("SALES_RECEIPT", "SALES_REFUND", "PURCHASE_PAYMENT", "PURCHASE_REFUND")

MATERIALS = (
    "Canvas",
    "Velvet",
    "Denim",
    "Hessian",
    "Linen",
    "Tweed",
    "Corduroy",
    "Felt",
    "Calico",
    "Bamboo",
    "Raffia",
    "Gingham",
)
FILE_LOCATIONS = (
    "/art",
    "/art/approved",
    "/art/drafts",
    "/archive",
    "/archive/2021",
    "/archive/lost+found",
    "/home/studio",
    "/home/studio/prints",
    "/mnt/press",
    "/mnt/press/out",
    "/net/designs",
    "/opt/looms",
    "/srv",
    "/srv/totes",
    "/srv/totes/new",
    "/usr/share/patterns",
    "/var/spool/printers",
    "/Volumes/Samples",
)

# The columns that the application edits in place without touching last_updated.
SILENTLY_EDITED = {
    "sales_order": ("design_id", "staff_id", "agreed_delivery_date", "agreed_delivery_location_id"),
    "purchase_order": (
        "staff_id",
        "item_code",
        "agreed_delivery_date",
        "agreed_delivery_location_id",
    ),
}

# What the tables that hardly change start with: column names, then rows in the order of their keys.
REFERENCE_TABLES: dict[str, tuple[tuple[str, ...], tuple[tuple[object, ...], ...]]] = {
    "department": (("department_name", "location", "manager"), DEPARTMENTS),
    "address": (
        (
            "address_line_1",
            "address_line_2",
            "district",
            "city",
            "postal_code",
            "country",
            "phone",
        ),
        ADDRESSES,
    ),
    "counterparty": (
        (
            "counterparty_legal_name",
            "legal_address_id",
            "commercial_contact",
            "delivery_contact",
        ),
        COUNTERPARTIES,
    ),
    "staff": (
        ("first_name", "last_name", "department_id", "email_address"),
        tuple(
            (first, last, department, f"{first}.{last}@{EMAIL_DOMAIN}".lower())
            for first, last, department in STAFF
        ),
    ),
    "currency": (("currency_code",), tuple((code,) for code in CURRENCIES)),
    "payment_type": (("payment_type_name",), tuple((name,) for name in PAYMENT_TYPES)),
}

# The rows that keep coming, without their keys, in the order of the columns in the source.


class Design(NamedTuple):
    created_at: datetime
    design_name: str
    file_location: str
    file_name: str
    last_updated: datetime


class Sale(NamedTuple):
    created_at: datetime
    last_updated: datetime
    design_id: int
    staff_id: int
    counterparty_id: int
    units_sold: int
    unit_price: Decimal
    currency_id: int
    agreed_delivery_date: str
    agreed_payment_date: str
    agreed_delivery_location_id: int

    @property
    def amount(self) -> Decimal:
        return self.units_sold * self.unit_price


class Purchase(NamedTuple):
    created_at: datetime
    last_updated: datetime
    staff_id: int
    counterparty_id: int
    item_code: str
    item_quantity: int
    item_unit_price: Decimal
    currency_id: int
    agreed_delivery_date: str
    agreed_payment_date: str
    agreed_delivery_location_id: int

    @property
    def amount(self) -> Decimal:
        return self.item_quantity * self.item_unit_price


class Transaction(NamedTuple):
    transaction_type: str
    sales_order_id: int | None
    purchase_order_id: int | None
    created_at: datetime
    last_updated: datetime


class Payment(NamedTuple):
    created_at: datetime
    last_updated: datetime
    transaction_id: int
    counterparty_id: int
    payment_amount: Decimal
    currency_id: int
    payment_type_id: int
    paid: bool
    payment_date: str
    company_ac_number: int
    counterparty_ac_number: int


Order: TypeAlias = Sale | Purchase
Row: TypeAlias = Design | Sale | Purchase | Transaction | Payment


class References(NamedTuple):
    """The keys that a new row may refer to, by table."""

    design: Sequence[int]
    staff: Sequence[int]
    counterparty: Sequence[int]
    currency: Sequence[int]
    address: Sequence[int]


def _soon(rng: Random, at: datetime, days: int) -> str:
    """A date up to `days` after `at`, weekends included, as ToteSys writes dates."""
    return (at + timedelta(seconds=rng.randrange(days * 86_400))).date().isoformat()


def _price(rng: Random, least: int, most: int) -> Decimal:
    """A price between two amounts in pence, which never was a binary fraction."""
    return Decimal(rng.randint(least, most)).scaleb(-2)


def _item_code(rng: Random) -> str:
    """Seven digits and capitals. Some 3 % begin with a zero, and one in two hundred is a number
    with an exponent to a careless reader."""
    if rng.randrange(200) == 0:
        return "01E" + "".join(rng.choices(string.digits, k=4))
    return "".join(rng.choices(string.digits + string.ascii_uppercase, k=7))


def _account_number(rng: Random) -> int:
    return rng.randint(10_000_000, 99_999_999)


def new_design(rng: Random, at: datetime) -> Design:
    """A design entered at `at`, drawn up to two years before."""
    name = rng.choice(MATERIALS)
    drawn = at.date() - rng.randint(3, 728) * DAY
    suffix = "".join(rng.choices(string.digits + string.ascii_lowercase, k=4))
    return Design(
        created_at=at,
        design_name=name,
        file_location=rng.choice(FILE_LOCATIONS),
        file_name=f"{name.lower()}-{drawn:%Y%m%d}-{suffix}.json",
        last_updated=at,
    )


def new_sale(rng: Random, at: datetime, references: References) -> Sale:
    """A sales order entered at `at`, to be delivered within a week and paid within six days."""
    return Sale(
        created_at=at,
        last_updated=at,
        design_id=rng.choice(references.design),
        staff_id=rng.choice(references.staff),
        counterparty_id=rng.choice(references.counterparty),
        units_sold=rng.randint(1_001, 99_999),
        unit_price=_price(rng, 2_00, 4_00),
        currency_id=rng.choice(references.currency),
        agreed_delivery_date=_soon(rng, at, 7),
        agreed_payment_date=_soon(rng, at, 6),
        agreed_delivery_location_id=rng.choice(references.address),
    )


def new_purchase(rng: Random, at: datetime, references: References) -> Purchase:
    """A purchase order entered at `at`, with the same terms as a sale."""
    return Purchase(
        created_at=at,
        last_updated=at,
        staff_id=rng.choice(references.staff),
        counterparty_id=rng.choice(references.counterparty),
        item_code=_item_code(rng),
        item_quantity=rng.randint(1, 999),
        item_unit_price=_price(rng, 3_00, 999_99),
        currency_id=rng.choice(references.currency),
        agreed_delivery_date=_soon(rng, at, 7),
        agreed_payment_date=_soon(rng, at, 6),
        agreed_delivery_location_id=rng.choice(references.address),
    )


def transaction_of(order: Order, order_id: int) -> Transaction:
    """The transaction that is entered with an order."""
    sold = isinstance(order, Sale)
    return Transaction(
        transaction_type="SALE" if sold else "PURCHASE",
        sales_order_id=order_id if sold else None,
        purchase_order_id=None if sold else order_id,
        created_at=order.created_at,
        last_updated=order.created_at,
    )


def payment_of(
    rng: Random, order: Order, transaction_id: int, paid_at: datetime | None = None
) -> Payment:
    """The payment that is entered with an order: open, or paid at `paid_at`."""
    kind = "SALES_RECEIPT" if isinstance(order, Sale) else "PURCHASE_PAYMENT"
    return Payment(
        created_at=order.created_at,
        last_updated=paid_at or order.created_at,
        transaction_id=transaction_id,
        counterparty_id=order.counterparty_id,
        payment_amount=order.amount,
        currency_id=order.currency_id,
        payment_type_id=PAYMENT_TYPES.index(kind) + 1,
        paid=paid_at is not None,
        payment_date=order.agreed_payment_date,
        company_ac_number=_account_number(rng),
        counterparty_ac_number=_account_number(rng),
    )


def edit_choices(rng: Random, column: str, at: datetime, references: References) -> Sequence[Any]:
    """What a person may put into `column` of an order when editing it at `at`."""
    choices: Mapping[str, Sequence[Any]] = {
        "design_id": references.design,
        "staff_id": references.staff,
        "agreed_delivery_location_id": references.address,
        "agreed_delivery_date": [(at + ahead * DAY).date().isoformat() for ahead in range(8)],
        "item_code": [_item_code(rng)],
    }
    return choices[column]
