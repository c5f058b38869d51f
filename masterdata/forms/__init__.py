"""Forms of master data; each names its fields explicitly (reliability.md W2)."""

from masterdata.forms.addresses import AddressForm, ContactPersonForm
from masterdata.forms.company import CompanyForm, ProjectForm
from masterdata.forms.employees import EmployeeForm, SubstitutionForm
from masterdata.forms.users import PasswordForm, UserCreateForm, UserForm

__all__ = [
    "AddressForm",
    "CompanyForm",
    "ContactPersonForm",
    "EmployeeForm",
    "PasswordForm",
    "ProjectForm",
    "SubstitutionForm",
    "UserCreateForm",
    "UserForm",
]
